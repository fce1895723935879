//! What must not change between two starts: account keys and the secrets of sign-in, in `secrets.json`.

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::seed::Chance;

/// Keys in base64.
#[derive(Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// How often the directory was opened: a start with the seed of an earlier one must not repeat its ids.
    pub(crate) starts: u64,
    /// Signs tokens.
    token_key: String,
    /// One per account, by the account's number.
    account_keys: Vec<String>,
    /// The value of `X-IDENTITY-HEADER`.
    pub(crate) identity_header: String,
    /// The system-assigned identity.
    pub(crate) identity_client_id: String,
    pub(crate) identity_object_id: String,
}

impl Secrets {
    /// Those of an earlier start, or new ones; keys for more accounts are added.
    pub(crate) fn open(directory: Option<&Path>, accounts: usize, chance: &Chance) -> io::Result<Self> {
        let file = directory.map(|directory| directory.join("secrets.json"));
        let known = match &file {
            Some(file) if file.exists() => Some(std::fs::read(file)?),
            _ => None,
        };
        let mut secrets = match known {
            Some(bytes) => serde_json::from_slice(&bytes)?,
            None => Self::new(chance),
        };
        secrets.starts += 1;
        while secrets.account_keys.len() < accounts {
            secrets.account_keys.push(key(chance));
        }
        if let Some(file) = file {
            files::replace(&file, &serde_json::to_vec_pretty(&secrets)?)?;
        }
        Ok(secrets)
    }

    fn new(chance: &Chance) -> Self {
        Self {
            starts: 0,
            token_key: key(chance),
            account_keys: Vec::new(),
            identity_header: chance.id().to_string(),
            identity_client_id: chance.id().to_string(),
            identity_object_id: chance.id().to_string(),
        }
    }

    pub(crate) fn token_key(&self) -> Vec<u8> {
        self.token_key.clone().into_bytes()
    }

    /// The bytes of an account's key.
    pub(crate) fn account_key(&self, number: usize) -> Vec<u8> {
        self.account_keys.get(number).and_then(|key| STANDARD.decode(key).ok()).unwrap_or_default()
    }
}

fn key(chance: &Chance) -> String {
    STANDARD.encode(chance.bytes::<64>())
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}
