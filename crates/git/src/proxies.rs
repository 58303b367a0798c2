//! The ways out that the environment names: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in small letters.
//!
//! Such a URL may hold a password. Invariant: they are read once, by the process whose environment it is; the fetch process gets
//! them through its stdin, since an environment can be read by others. Entry points: [`Proxies::from_env`] and
//! [`Proxies::apply`].

use reqwest::{ClientBuilder, NoProxy, Proxy, Url};
use serde::{Deserialize, Serialize};

use crate::Secret;

/// Proxies for all repositories that name none of their own. The default is none, whatever the environment says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxies {
    /// The URL of the proxy for `http://`.
    pub http: Option<Secret>,
    /// The URL of the proxy for `https://`.
    pub https: Option<Secret>,
    /// Hosts that are reached without: names, domains, addresses and networks, separated by commas.
    pub no_proxy: String,
}

impl Proxies {
    /// What the environment of this process says. What it says and cannot be used is told by a warning.
    pub fn from_env() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |name: &str| {
            let small = name.to_lowercase();
            variable(name).or_else(|| variable(&small)).map(Secret::new).filter(|value| !value.is_empty())
        };
        let proxy = |name: &str| {
            let mut value = first(name)?;
            if !value.reveal().contains("://") {
                // As everywhere.
                value = Secret::new(format!("http://{}", value.reveal()));
            }
            let usable = proxy_url(value.reveal());
            if usable.is_none() {
                tracing::warn!(
                    variable = name,
                    "the proxy that the environment names is not used: it is no http:// or https:// URL"
                );
            }
            usable.map(|url| Secret::new(url.as_str()))
        };
        let all = proxy("ALL_PROXY");
        let (http, https) = (proxy("HTTP_PROXY").or_else(|| all.clone()), proxy("HTTPS_PROXY").or(all));
        Self { http, https, no_proxy: first("NO_PROXY").map(|hosts| hosts.reveal().to_owned()).unwrap_or_default() }
    }

    /// Makes a client go these ways.
    pub(crate) fn apply(&self, mut builder: ClientBuilder) -> ClientBuilder {
        let makers = [(&self.http, Proxy::http::<Url> as fn(Url) -> _), (&self.https, Proxy::https::<Url>)];
        for (url, make) in makers {
            let proxy = url.as_ref().and_then(|url| proxy_url(url.reveal())).and_then(|url| make(url).ok());
            if let Some(proxy) = proxy {
                builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&self.no_proxy)));
            }
        }
        builder
    }
}

/// The URL of a proxy, if it is one of HTTP.
pub(crate) fn proxy_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|wanted| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_is_read_as_other_programs_read_it() {
        let url = |text: &str| Some(Secret::new(text));
        assert_eq!(read(&[]), Proxies::default());
        let own = read(&[("HTTPS_PROXY", "http://me:pass@one:3128"), ("ALL_PROXY", "two:3128"), ("no_proxy", "a,b")]);
        let expected = Proxies {
            http: url("http://two:3128/"),
            https: url("http://me:pass@one:3128/"),
            no_proxy: "a,b".to_owned(),
        };
        assert_eq!(own, expected);
        assert!(!format!("{own:?}").contains("pass"));
        let unusable = read(&[("http_proxy", "socks5://hunter2"), ("HTTPS_PROXY", ""), ("https_proxy", "http://x")]);
        assert_eq!((unusable.http, unusable.https), (None, None));
    }
}
