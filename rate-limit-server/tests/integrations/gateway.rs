//! A running Envoy, Traefik or Caddy, in a folder of its own, with its file of `deploy/`.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::replaced;
use crate::server::Files;
use crate::support::Connection;

const PATIENCE: Duration = Duration::from_secs(60);

/// Which program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Envoy,
    Traefik,
    Caddy,
}

/// It is ended by its id when this is dropped.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) address: SocketAddr,
    files: Files,
}

impl Gateway {
    /// Starts one in front of a site, and waits until it hands requests on.
    pub(crate) async fn start(kind: Kind, service: SocketAddr, site: SocketAddr) -> Self {
        let attempts = 10;
        for _ in 0..attempts {
            let mut gateway = Self::launch(kind, service, site);
            if gateway.is_ready().await {
                return gateway;
            }
            // Somebody else took the port between our asking for a free one and its use.
            let said = gateway.log().to_lowercase();
            assert!(said.contains("address already in use"), "{kind:?} ended: {said}");
        }
        panic!("no port stayed free long enough in {attempts} attempts");
    }

    fn launch(kind: Kind, service: SocketAddr, site: SocketAddr) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let files = Files::new();
        let mut command = match kind {
            Kind::Envoy => envoy(&files, address, service, site),
            Kind::Traefik => traefik(&files, address, service, site),
            Kind::Caddy => caddy(&files, address, service, site),
        };
        let log = File::create(files.path("log")).unwrap();
        command.env("HOME", files.path("")).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self { process: command.spawn().unwrap(), address, files }
    }

    /// Whether requests reach the site; `false` if the program has ended instead.
    async fn is_ready(&mut self) -> bool {
        let mut ended = false;
        crate::server::until("the gateway accepts connections", || {
            let accepts = TcpStream::connect(self.address).is_ok();
            // Asked afterwards, so that a connection to somebody else's server does not count.
            ended = self.process.try_wait().unwrap().is_some();
            accepts || ended
        });
        let answers = async {
            // Traefik listens before it has read where requests go.
            while Connection::open(self.address).await.ask("/").await.status == 404 {
                tokio::task::yield_now().await;
            }
        };
        if !ended {
            let ready = tokio::time::timeout(PATIENCE, answers).await;
            ready.unwrap_or_else(|_| panic!("no request reaches the site: {}", self.log()));
        }
        !ended
    }

    fn log(&self) -> String {
        fs::read_to_string(self.files.path("log")).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn envoy(files: &Files, address: SocketAddr, service: SocketAddr, site: SocketAddr) -> Command {
    let place = |address: SocketAddr| {
        format!("{{ address: {}, port_value: {} }}", address.ip(), address.port())
    };
    let text = crate::file("deploy/envoy/rate-limit.yaml");
    let text = replaced(&text, "{ address: 0.0.0.0, port_value: 8088 }", &place(address));
    let text = replaced(&text, "{ address: 127.0.0.1, port_value: 8080 }", &place(service));
    let text = replaced(&text, "{ address: 127.0.0.1, port_value: 3000 }", &place(site));
    let mut command = crate::program("ENVOY_PROGRAM");
    command.args(["-c", &files.write("envoy.yaml", &text), "--concurrency", "1"]);
    // Otherwise several of them would look for each other in shared memory.
    command.arg("--disable-hot-restart");
    command
}

fn traefik(files: &Files, address: SocketAddr, service: SocketAddr, site: SocketAddr) -> Command {
    let text = crate::file("deploy/traefik/rate-limit.yaml");
    let text = replaced(&text, "127.0.0.1:8080", &service.to_string());
    let text = replaced(&text, "127.0.0.1:3000", &site.to_string());
    let text = replaced(&text, "Host(`example.com`)", "Host(`localhost`)");
    let file = files.write("rate-limit.yaml", &text);
    let mut command = crate::program("TRAEFIK_PROGRAM");
    command.arg(format!("--entrypoints.web.address={address}"));
    command.arg(format!("--providers.file.filename={file}"));
    command.args(["--global.checknewversion=false", "--global.sendanonymoususage=false"]);
    command
}

fn caddy(files: &Files, address: SocketAddr, service: SocketAddr, site: SocketAddr) -> Command {
    let text = crate::file("deploy/caddy/Caddyfile");
    let text = replaced(&text, "127.0.0.1:8080", &service.to_string());
    let text = replaced(&text, "127.0.0.1:3000", &site.to_string());
    let listen = format!("http://:{} {{\n\tbind {}\n", address.port(), address.ip());
    let text = replaced(&text, ":8088 {\n", &listen);
    // Several of them would want the same port for their administration.
    let text = format!("{{\n\tadmin off\n\tpersist_config off\n}}\n{text}");
    let mut command = crate::program("CADDY_PROGRAM");
    command.args(["run", "--adapter", "caddyfile", "--config", &files.write("Caddyfile", &text)]);
    command
}
