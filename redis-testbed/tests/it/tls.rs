//! Servers that speak TLS. Whether a client refuses a bad certificate is a test of that client;
//! here it counts that the server speaks TLS and nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;

use redis_testbed::tls::ServerIdentity;
use redis_testbed::{Certificates, RedisServer};

#[test]
fn a_server_with_any_certificate_speaks_tls_and_no_plain_text() {
    let certificates = Certificates::generate().unwrap();
    for identity in [ServerIdentity::Good, ServerIdentity::Expired, ServerIdentity::WrongName] {
        let server = RedisServer::builder().tls(&certificates, identity).start().unwrap();
        assert!(server.url().starts_with("rediss://"));
        // Plain text gets no answer but the end of the connection, or an alert record of TLS.
        let mut plain = TcpStream::connect(server.address()).unwrap();
        plain.write_all(b"PING\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(&[21, 3]), "{answer:?}");
    }
}

#[test]
fn certificates_lie_in_a_folder_that_goes_with_them() {
    let certificates = Certificates::generate().unwrap();
    let folder = certificates.folder().to_owned();
    let (certificate, key) = certificates.client();
    assert!(certificates.authority().is_file() && certificate.is_file() && key.is_file());
    drop(certificates);
    assert!(!folder.exists());
}
