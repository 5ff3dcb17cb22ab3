//! A running nginx, in a folder of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

/// It runs as one process, which is ended by its id when this is dropped.
pub(crate) struct Nginx {
    process: Child,
    pub(crate) address: SocketAddr,
    folder: PathBuf,
}

impl Nginx {
    /// Starts an nginx whose block `http` holds what `servers` says, given the address on which to
    /// listen, and waits until it accepts connections.
    pub(crate) async fn start(servers: impl Fn(SocketAddr) -> String) -> Self {
        let attempts = 10;
        for _ in 0..attempts {
            let mut nginx = Self::launch(&servers);
            let ready = tokio::time::timeout(Duration::from_secs(30), nginx.accepts()).await;
            if ready.expect("nginx accepts connections within 30 seconds") {
                return nginx;
            }
            // Somebody else took the port between our asking for a free one and nginx's using it.
            let said = fs::read_to_string(nginx.folder.join("error.log")).unwrap_or_default();
            assert!(said.contains("Address already in use"), "nginx ended: {said}");
        }
        panic!("no port stayed free long enough in {attempts} attempts");
    }

    fn launch(servers: impl Fn(SocketAddr) -> String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let program = std::env::var_os("NGINX_PROGRAM")
            .expect("NGINX_PROGRAM is the path of nginx; scripts/test-integrations sets it");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("nginx-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        fs::write(folder.join("nginx.conf"), configuration(&servers(free))).unwrap();
        let log = folder.join("error.log");
        let process = Command::new(program)
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .arg("-e")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, address: free, folder }
    }

    /// Waits until it accepts connections; `false` if it has ended instead.
    async fn accepts(&mut self) -> bool {
        loop {
            let connected = TcpStream::connect(self.address).await.is_ok();
            // Asked afterwards, so that a connection to somebody else's server does not count.
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if connected {
                return true;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Relative paths lie in the folder that `-p` names.
fn configuration(servers: &str) -> String {
    format!(
        r#"
daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{servers}
}}
"#
    )
}
