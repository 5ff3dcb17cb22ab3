//! Certificates for servers and clients, made anew for each test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::error::TestbedError;

/// An authority and what it has signed, as PEM files in a folder that goes with this.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
    authority: PathBuf,
    good: Pair,
    expired: Pair,
    wrong_name: Pair,
    client: Pair,
}

/// What a server shows to its clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerIdentity {
    /// A certificate for `localhost` and 127.0.0.1.
    Good,
    /// The same, but it ended in 2020.
    Expired,
    /// A valid certificate for another server.
    WrongName,
}

#[derive(Debug)]
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

impl Certificates {
    /// Makes an authority and all certificates.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn generate() -> Result<Self, TestbedError> {
        let folder = tempfile::tempdir().map_err(TestbedError::system("cannot create a folder"))?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "redis-testbed authority");
        let authority = folder.path().join("authority.pem");
        write(&authority, &params.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(params, key);

        let sign = |name: &str, params: CertificateParams| -> Result<Pair, TestbedError> {
            let key = KeyPair::generate()?;
            let pair = Pair {
                certificate: folder.path().join(format!("{name}.pem")),
                key: folder.path().join(format!("{name}.key")),
            };
            write(&pair.certificate, &params.signed_by(&key, &issuer)?.pem())?;
            write(&pair.key, &key.serialize_pem())?;
            Ok(pair)
        };
        let named = |names: &[&str]| {
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let mut expired = named(&NAMES)?;
        expired.not_before = date_time_ymd(2019, 1, 1);
        expired.not_after = date_time_ymd(2020, 1, 1);
        let good = sign("good", named(&NAMES)?)?;
        let expired = sign("expired", expired)?;
        let wrong_name = sign("wrong-name", named(&["another.invalid"])?)?;
        let client = sign("client", named(&["client.invalid"])?)?;
        Ok(Self { authority, good, expired, wrong_name, client, folder })
    }

    /// The certificate of the authority, which clients have to trust.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// Certificate and key of a server.
    pub fn server(&self, identity: ServerIdentity) -> (&Path, &Path) {
        match identity {
            ServerIdentity::Good => &self.good,
            ServerIdentity::Expired => &self.expired,
            ServerIdentity::WrongName => &self.wrong_name,
        }
        .paths()
    }

    /// Certificate and key of a client.
    pub fn client(&self) -> (&Path, &Path) {
        self.client.paths()
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Pair {
    fn paths(&self) -> (&Path, &Path) {
        (&self.certificate, &self.key)
    }
}

fn write(path: &Path, text: &str) -> Result<(), TestbedError> {
    fs::write(path, text).map_err(TestbedError::system("cannot write a certificate"))
}
