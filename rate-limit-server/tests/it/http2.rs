//! A client that speaks HTTP/2 frame by frame, so that tests decide what it leaves undone.

use std::net::SocketAddr;

use crate::client::Client;

/// What a client begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// One connection, of which the server's settings are known.
pub(crate) struct Http2 {
    client: Client,
    /// Number and value of each of the server's settings.
    pub(crate) settings: Vec<(u16, u32)>,
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Http2 {
    /// Says that it speaks HTTP/2, with these settings, and waits for the server's.
    pub(crate) fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = Client::connect(address);
        client.send_raw(PREFACE);
        let mut connected = Self { client, settings: Vec::new() };
        let pairs = settings.iter();
        let payload: Vec<u8> = pairs
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        connected.send(SETTINGS, 0, 0, &payload);
        let frame = connected.frame().expect("the settings of the server");
        assert_eq!((frame.kind, frame.flags), (SETTINGS, 0), "{frame:?}");
        let pair = |pair: &[u8]| {
            let [a, b, c, d, e, f] = *pair else { panic!("{pair:?}") };
            (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
        };
        connected.settings = frame.payload.chunks(6).map(pair).collect();
        connected.send(SETTINGS, ACK, 0, b"");
        connected
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.client.send_raw(&frame);
    }

    /// Sends the head of `GET path`, which is all of it, or of `POST path`, whose body follows.
    pub(crate) fn ask(&mut self, stream: u32, method: Method, path: &str) {
        let (method, end) = match method {
            Method::Get => (0x82, END_STREAM),
            Method::Post => (0x83, 0),
        };
        // By the static table: the method, http, and literals of the path and the authority.
        let mut block = vec![method, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        block.extend_from_slice(path.as_bytes());
        block.extend_from_slice(b"\x01\x01a");
        self.send(HEADERS, END_HEADERS | end, stream, &block);
    }

    /// Whether the answer on this stream has the status 200.
    pub(crate) fn is_ok(&mut self, stream: u32) -> bool {
        let head = self.until(|frame| frame.kind == HEADERS && frame.stream == stream);
        // In the static table.
        head.payload.first() == Some(&0x88)
    }

    /// The first frame of this kind.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.frame().expect("a frame, and not the end of the connection");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The next frame; `None` if the connection ends.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let head = self.client.bytes(9)?;
        let [a, b, c, kind, flags, e, f, g, h] = head[..] else { panic!("{head:?}") };
        let payload = self.client.bytes(u32::from_be_bytes([0, a, b, c]) as usize)?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes([e, f, g, h]), payload })
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.client.is_closed()
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    Get,
    Post,
}
