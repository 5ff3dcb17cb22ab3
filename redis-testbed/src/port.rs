//! Ports that several test programs share without getting into each other's way.
//!
//! Asking the system for a free port and giving it to a server later is a race, and a server that
//! is restarted needs its port back. So ports come from a range below the one from which systems
//! serve outgoing connections and port 0, and each is held by a lock on a file that all test
//! programs of the machine know. The lock ends with its process, however it ends.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::fs::FlockOperation;

use crate::error::TestbedError;

/// Nodes of a cluster talk to each other on the port 10,000 higher, which is below 32,768 too.
const RANGE: Range<u16> = 20_000..22_768;
const BUS_OFFSET: u16 = 10_000;

/// A port of the loopback network (and the one 10,000 higher) that nobody else takes meanwhile.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _lock: File,
}

impl ReservedPort {
    /// Reserves a port.
    ///
    /// # Errors
    ///
    /// If all are taken.
    pub fn reserve() -> Result<Self, TestbedError> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let folder = std::env::temp_dir().join("redis-testbed-ports");
        fs::create_dir_all(&folder)
            .map_err(TestbedError::system("cannot create the folder of port locks"))?;
        let count = RANGE.end - RANGE.start;
        // Programs that run at the same time begin at different places.
        let first = std::process::id().wrapping_mul(41) % u32::from(count);
        for _ in 0..count {
            // Relaxed, because the number guards no memory; the lock on the file decides.
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            let offset = (first + step) % u32::from(count);
            let number = RANGE.start + u16::try_from(offset).unwrap_or_default();
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join(number.to_string()))
                .map_err(TestbedError::system("cannot open a port lock"))?;
            let locked = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive);
            if locked.is_ok() && is_free(number) && is_free(number + BUS_OFFSET) {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(TestbedError::NoPort(RANGE))
    }

    /// The number of the port.
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// The address on the loopback network.
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), self.number)
    }
}

/// Somebody outside of these tests may use it.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
