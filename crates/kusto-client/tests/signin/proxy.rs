//! A forward proxy: absolute-form http is passed on, `CONNECT` and SOCKS 5 end in a TLS server that has a certificate for
//! every host, and all of it leads to one address.
//!
//! ```text
//! client ── CONNECT host:443 ──► proxy ── TLS as `host` ──► plain http ──► the double
//!        └─ GET http://host/.. ─┘    └──────────────────────────────────────┘
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a proxy does with who comes.
#[derive(Clone)]
pub enum Manner {
    /// Lets everybody pass.
    Open,
    /// Lets those pass who present this user and password (`user:password`).
    WithPassword(&'static str),
    /// Answers with this status.
    Refusing(u16),
}

/// A proxy that is running; it ends with this.
pub struct Proxy {
    pub address: SocketAddr,
    /// The certificate, in PEM, that a client has to trust.
    pub root: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Inner {
    manner: Manner,
    target: SocketAddr,
    authority: Issuer<'static, KeyPair>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Leads everybody to `target`, an address that speaks plain http.
    pub async fn start(manner: Manner, target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().pem();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let authority = Issuer::new(params, key);
        let inner = Arc::new(Inner { manner, target, authority, seen: Arc::clone(&seen) });
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&inner).serve(socket));
            }
        });
        Proxy { address, root, seen, task }
    }

    /// The hosts that clients asked for, each once, in order.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = self.seen.lock().unwrap().clone();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }
}

impl Inner {
    async fn serve(self: Arc<Self>, mut socket: TcpStream) {
        if is_socks(&socket).await {
            _ = self.serve_socks(socket).await;
            return;
        }
        let Some(head) = read_head(&mut socket).await else { return };
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.seen.lock().unwrap().push(target.to_owned());
        if let Some(status) = self.refusal(&head) {
            let answer = format!(
                "HTTP/1.1 {status} No\r\nproxy-authenticate: Basic realm=\"proxy\"\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n"
            );
            _ = socket.write_all(answer.as_bytes()).await;
            return;
        }
        if method == "CONNECT" {
            _ = socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
            _ = self.speak_tls(socket, host).await;
        } else if let Ok(mut server) = TcpStream::connect(self.target).await {
            _ = server.write_all(head.as_bytes()).await;
            _ = copy_bidirectional(&mut socket, &mut server).await;
        }
    }

    /// Is `host` from here on.
    async fn speak_tls(&self, socket: TcpStream, host: &str) -> std::io::Result<()> {
        let mut server = TcpStream::connect(self.target).await?;
        let mut client = self.acceptor(host).accept(socket).await?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    }

    /// SOCKS 5 without a password, for names (RFC 1928): greeting, request, and then the host.
    async fn serve_socks(&self, mut socket: TcpStream) -> std::io::Result<()> {
        let mut greeting = [0; 2];
        socket.read_exact(&mut greeting).await?;
        socket.read_exact(&mut vec![0; usize::from(greeting[1])]).await?;
        socket.write_all(&[5, 0]).await?;
        let mut request = [0; 5];
        socket.read_exact(&mut request).await?;
        assert_eq!(request[..4], [5, 1, 0, 3], "a connection to a name");
        let mut name = vec![0; usize::from(request[4])];
        socket.read_exact(&mut name).await?;
        let port = socket.read_u16().await?;
        let name = String::from_utf8(name).unwrap();
        self.seen.lock().unwrap().push(format!("{name}:{port}"));
        socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        self.speak_tls(socket, &name).await
    }

    fn refusal(&self, head: &str) -> Option<u16> {
        match self.manner {
            Manner::Open => None,
            Manner::Refusing(status) => Some(status),
            Manner::WithPassword(expected) => {
                let header = format!("proxy-authorization: basic {}", STANDARD.encode(expected));
                let found = head.lines().any(|line| line.eq_ignore_ascii_case(&header));
                (!found).then_some(407)
            }
        }
    }

    /// Speaks TLS as `host`.
    fn acceptor(&self, host: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config =
            config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Whether the first byte is that of SOCKS 5.
async fn is_socks(socket: &TcpStream) -> bool {
    let mut first = [0];
    socket.peek(&mut first).await.is_ok() && first == [5]
}

/// Reads a request's head, with the empty line at its end and nothing behind it.
async fn read_head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16 << 10 {
            return None;
        }
        head.push(socket.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
