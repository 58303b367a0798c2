//! A text that is used and never shown. Entry points: [`Secret::new`] and [`Secret::reveal`].
//!
//! Invariant: neither `Debug` nor `Display` tells anything of it, not even its length; its memory is zeroed when it is dropped.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

/// A password, a token, a private key, or a URL that holds one.
///
/// It is serialised as it is, for the pipe to the fetch process: nothing else may be made of a type that holds one.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for whom it is meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.reveal().hash(state);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_used_and_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(secret.reveal(), "hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "… …");
        let through_the_pipe = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<Secret>(&through_the_pipe).unwrap(), secret);
    }
}
