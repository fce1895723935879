use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::Value;

use super::*;

/// A key, its certificate and somebody else's, in PEM.
struct Made {
    key: KeyPair,
    certificate: rcgen::Certificate,
    other: rcgen::Certificate,
}

fn made() -> Made {
    let params = || CertificateParams::new(vec!["app.example".to_owned()]).unwrap();
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = params().self_signed(&key).unwrap();
    Made { key, certificate, other: params().self_signed(&other).unwrap() }
}

fn assertion(certificate: Certificate) -> Assertion {
    let token_endpoint = "https://login.example/tenant/oauth2/v2.0/token".to_owned();
    Assertion { certificate, app_id: "app-1".into(), token_endpoint }
}

/// Header, claims, the signed text and the signature.
fn taken_apart(jwt: &str) -> (Value, Value, String, Vec<u8>) {
    let (text, signature) = jwt.rsplit_once('.').unwrap();
    let (header, claims) = text.split_once('.').unwrap();
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (json(header), json(claims), text.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

#[test]
fn an_assertion_names_its_certificate_and_is_signed_by_its_key() {
    let made = made();
    let pem = format!("{}{}{}", made.other.pem(), made.certificate.pem(), made.key.serialize_pem());
    let jwt = assertion(Certificate::from_pem(pem.clone())).make().unwrap();
    let (header, claims, text, signature) = taken_apart(&jwt);
    let fingerprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, made.certificate.der()));
    assert_eq!(header, json!({"alg": "PS256", "typ": "JWT", "x5t#S256": fingerprint}));
    assert_eq!(claims["aud"], "https://login.example/tenant/oauth2/v2.0/token");
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("app-1"), Some("app-1")));
    let (from, until) = (claims["nbf"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert_eq!(until - from, LIFE.as_secs());
    let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, made.key.public_key_raw());
    public.verify(text.as_bytes(), &signature).unwrap();

    let jwt = assertion(Certificate::from_pem(pem).send_chain(true)).make().unwrap();
    let chain = [STANDARD.encode(made.certificate.der()), STANDARD.encode(made.other.der())];
    assert_eq!(taken_apart(&jwt).0["x5c"], json!(chain), "the leaf first, whatever the order of the PEM");
}

#[test]
fn a_key_alone_is_named_by_the_thumbprint_that_is_given() {
    let made = made();
    let pem = made.key.serialize_pem();
    let sha1 = "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D";
    let jwt = assertion(Certificate::from_pem(pem.clone()).thumbprint(sha1)).make().unwrap();
    let (header, _, text, signature) = taken_apart(&jwt);
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "x5t": "qZk-NkcGgWq6PiVxeFDCbJzQ2J0"}));
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, made.key.public_key_raw());
    public.verify(text.as_bytes(), &signature).unwrap();
    let jwt = assertion(Certificate::from_pem(pem).thumbprint("ab".repeat(32))).make().unwrap();
    assert!(taken_apart(&jwt).0["x5t#S256"].is_string());
}

#[test]
fn what_cannot_sign_is_refused_with_a_reason_and_without_the_key() {
    let made = made();
    let (key, certificate) = (made.key.serialize_pem(), made.certificate.pem());
    let elliptic = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let damaged = key.replace("-----END PRIVATE KEY-----", "");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned();
    for (pem, reason) in [
        (String::new(), "no private key"),
        (certificate.clone(), "no private key"),
        (key.clone(), "no certificate"),
        (format!("{elliptic}{certificate}"), "no RSA key"),
        (format!("{key}{}", made.other.pem()), "belongs to none of the certificates"),
        (format!("{encrypted}{certificate}"), "is encrypted"),
        (damaged, "damaged"),
    ] {
        let error = Certificate::from_pem(pem).check().unwrap_err();
        assert!(error.contains(reason), "`{reason}` is missing in: {error}");
        assert!(!error.contains("MII"), "{error}");
    }
    let error = Certificate::from_pem(key.clone()).thumbprint("xyz").check().unwrap_err();
    assert!(error.contains("hexadecimal"), "{error}");
    let shown = format!("{:?}", Certificate::from_pem(key));
    assert_eq!(shown, "Certificate(PEM)");
}

#[test]
fn a_file_is_read_anew_so_that_a_renewed_certificate_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.pem");
    let certificate = Certificate::from_file(&path);
    let error = certificate.check().unwrap_err();
    assert!(error.contains("app.pem cannot be read"), "{error}");
    let fingerprint = |made: &Made| {
        std::fs::write(&path, format!("{}{}", made.key.serialize_pem(), made.certificate.pem())).unwrap();
        taken_apart(&assertion(certificate.clone()).make().unwrap()).0["x5t#S256"].clone()
    };
    assert_ne!(fingerprint(&made()), fingerprint(&made()));
    std::fs::write(&path, [0x30, 0x82, 0xff]).unwrap();
    let error = certificate.check().unwrap_err();
    assert!(error.contains("openssl pkcs12 -in"), "{error}");
}

#[test]
fn no_damage_to_a_pem_makes_the_reader_panic_or_shows_the_key() {
    let made = made();
    let (key, certificate) = (made.key.serialize_pem(), made.certificate.pem());
    let examples =
        [key.clone() + &certificate, certificate, key, "-----BEGIN PRIVATE KEY-----\nMII=\n".to_owned()];
    let examples: Vec<&str> = examples.iter().map(String::as_str).collect();
    crate::fuzz::fuzz("certificate", &examples, |pem| {
        let certificate = Certificate::from_pem(String::from_utf8_lossy(pem).into_owned());
        if let Err(message) = certificate.check() {
            assert!(!message.contains("MII"), "{message}");
        }
    });
}
