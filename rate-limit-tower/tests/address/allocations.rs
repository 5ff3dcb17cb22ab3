//! Finding the client allocates nothing, whatever the header holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rate_limit_tower::{ClientAddress, ForwardingHeader};

use crate::oracle::Named;
use crate::support::{PROXY, STRANGER, behind, behind_hops, header, ip, lines};

thread_local! {
    /// Allocations of this thread; the tests beside this one run on others.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

#[allow(unsafe_code, reason = "an allocator cannot be written without; this one only counts")]
// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `alloc` asked the same allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[test]
fn no_request_allocates() {
    assert_ne!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 0, "they are counted");
    for named in [Named::XForwardedFor, Named::Forwarded, Named::Single] {
        let (kind, name, value) = header(named, "[2001:db8::1%eth0]:443");
        let crossed = header(named, "::ffff:10.0.0.2").2;
        let long = "x".repeat(100_000);
        for values in [
            vec![],
            vec![value.clone()],
            vec![format!("{value}, {crossed}, {crossed}"), crossed.clone(), crossed.clone()],
            vec![value, crossed.clone(), "\"\\\"for=\"".to_owned()],
            vec![",".repeat(100_000)],
            vec![long.clone()],
            vec![format!("{long},{crossed}")],
        ] {
            let headers = lines(name, &values);
            let sources = [
                behind(kind.clone()),
                behind_hops(3, kind.clone()),
                behind(ForwardingHeader::XForwardedFor),
                ClientAddress::default(),
                ClientAddress::peer(),
            ];
            for (source, peer) in sources.iter().flat_map(|s| [(s, PROXY), (s, STRANGER)]) {
                let peer = Some(ip(peer));
                let count = allocations(|| _ = source.address_of(peer, &headers));
                assert_eq!(count, 0, "{source:?} with {} lines", values.len());
            }
        }
    }
}
