//! The values of a Secret about a repository: decoded, and read as who we are and how we get there.
//!
//! Invariant: no message quotes a value. Entry point: [`Fields::read`].

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::http_client::Settings;
use crate::{ClientCertificate, GitHubApp, Limits, Login, Proxies, Secret, Tls, github_app, ssh_key};

/// The user that goes with a token where none is named: some hosts refuse an empty one.
const TOKEN_USER: &str = "x-access-token";

/// What a Secret says beside where and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent fields of the Secret")]
pub(crate) struct Fields {
    pub(crate) username: Secret,
    pub(crate) password: Secret,
    pub(crate) bearer: Secret,
    pub(crate) ssh_key: Secret,
    pub(crate) certificate: Secret,
    pub(crate) certificate_key: Secret,
    pub(crate) app: u64,
    pub(crate) app_installation: u64,
    pub(crate) app_key: Secret,
    pub(crate) app_url: String,
    pub(crate) proxy: Secret,
    pub(crate) no_proxy: String,
    pub(crate) insecure: bool,
    pub(crate) force_basic: bool,
    /// `enableLfs`.
    pub(crate) lfs: bool,
    /// `gcpServiceAccountKey` is there.
    pub(crate) google: bool,
    /// `useAzureWorkloadIdentity` is set.
    pub(crate) azure: bool,
    /// `enableOCI`.
    pub(crate) oci: bool,
    /// `insecureOCIForceHttp`.
    pub(crate) oci_over_http: bool,
}

/// The values of a Secret, decoded.
pub(crate) struct Values(BTreeMap<String, Result<Zeroizing<String>, &'static str>>);

// === impl Fields ===

impl Fields {
    pub(crate) fn read(values: &Values, problems: &mut Vec<String>) -> Self {
        let secret = |key: &str, problems: &mut Vec<String>| Secret::new(values.plain(key, problems));
        Self {
            username: secret("username", problems),
            password: secret("password", problems),
            bearer: Secret::new(values.header("bearerToken", problems)),
            ssh_key: secret("sshPrivateKey", problems),
            certificate: secret("tlsClientCertData", problems),
            certificate_key: secret("tlsClientCertKey", problems),
            app: values.number("githubAppID", problems),
            app_installation: values.number("githubAppInstallationID", problems),
            app_key: secret("githubAppPrivateKey", problems),
            app_url: values.plain("githubAppEnterpriseBaseUrl", problems).trim().to_owned(),
            proxy: secret("proxy", problems),
            no_proxy: values.plain("noProxy", problems),
            insecure: values.flag("insecure", problems) | values.flag("insecureIgnoreHostKey", problems),
            force_basic: values.flag("forceHttpBasicAuth", problems),
            lfs: values.flag("enableLfs", problems),
            google: !values.plain("gcpServiceAccountKey", problems).is_empty(),
            azure: values.flag("useAzureWorkloadIdentity", problems),
            oci: values.flag("enableOCI", problems),
            oci_over_http: values.flag("insecureOCIForceHttp", problems),
        }
    }

    pub(crate) fn unsupported(&self) -> Option<String> {
        let named = match () {
            () if self.google => "a Google service account (gcpServiceAccountKey)",
            () if self.azure => "an Azure workload identity (useAzureWorkloadIdentity)",
            () if self.certificate.is_empty() != self.certificate_key.is_empty() => {
                return Some("tlsClientCertData and tlsClientCertKey must both be set".to_owned());
            }
            () if self.app_key.is_empty() != (self.app == 0) => {
                return Some("githubAppID and githubAppPrivateKey must both be set".to_owned());
            }
            () => return None,
        };
        Some(format!("{named} is not supported: use a token, an SSH key or a GitHub App"))
    }

    /// Whether it says who we are, so that nothing is taken over from a prefix.
    pub(crate) fn has_login(&self) -> bool {
        self.google
            || self.azure
            || [&self.certificate, &self.username, &self.password, &self.bearer, &self.ssh_key, &self.app_key]
                .iter()
                .any(|secret| !secret.is_empty())
    }

    /// These, and what they lack from those of a prefix.
    pub(crate) fn completed_by(&self, prefix: &Self) -> Self {
        let mut all = prefix.clone();
        if !self.proxy.is_empty() {
            all.proxy = self.proxy.clone();
        }
        if !self.no_proxy.is_empty() {
            all.no_proxy.clone_from(&self.no_proxy);
        }
        all.insecure = self.insecure;
        all.lfs = self.lfs;
        all.oci = self.oci;
        all.oci_over_http |= self.oci_over_http;
        all
    }

    /// Who we are to a registry. What only a Git host takes is of no use there, and no reason not to ask.
    pub(crate) fn registry_login(&self) -> Login {
        match self.login(false) {
            Ok(login @ (Login::Basic { .. } | Login::Bearer(_))) => login,
            _ => Login::None,
        }
    }

    /// Who we are to a server that is asked over HTTP, or over SSH.
    pub(crate) fn login(&self, ssh: bool) -> Result<Login, String> {
        let http = [&self.password, &self.bearer, &self.app_key].iter().any(|secret| !secret.is_empty());
        match (ssh, self.ssh_key.is_empty()) {
            (true, false) => return Ok(Login::Key(self.ssh_key.clone())),
            (true, true) if http => return Err("an SSH URL needs sshPrivateKey, and it has none".to_owned()),
            (false, false) if !http => {
                return Err("sshPrivateKey is of no use at an HTTP URL: set username and password, or use the SSH URL"
                    .to_owned());
            }
            (true, true) => return Ok(Login::None),
            (false, _) => {}
        }
        let basic = || {
            let username = if self.username.is_empty() { TOKEN_USER } else { self.username.reveal() };
            Login::Basic { username: username.to_owned(), password: self.password.clone() }
        };
        Ok(match () {
            () if !self.password.is_empty() && (self.force_basic || self.bearer.is_empty()) => basic(),
            () if !self.bearer.is_empty() => Login::Bearer(self.bearer.clone()),
            () if !self.app_key.is_empty() => Login::GitHubApp(GitHubApp {
                id: self.app,
                installation: (self.app_installation != 0).then_some(self.app_installation),
                key: self.app_key.clone(),
                enterprise_url: (!self.app_url.is_empty()).then(|| self.app_url.clone()),
            }),
            // Some hosts take a token as the user name alone.
            () if !self.username.is_empty() => basic(),
            () => Login::None,
        })
    }

    pub(crate) fn client_certificate(&self) -> Option<ClientCertificate> {
        let (certificate, key) = (self.certificate.reveal().to_owned(), self.certificate_key.clone());
        (!certificate.is_empty()).then_some(ClientCertificate { certificate, key })
    }

    /// What of the login and the way cannot be used over SSH or HTTP, as far as that can be told without asking a server.
    pub(crate) fn fault(&self, ssh: bool) -> Option<String> {
        match self.login(ssh) {
            Err(why) => return Some(why),
            Ok(Login::Key(key)) => return ssh_key::decode(key.reveal()).err(),
            Ok(Login::GitHubApp(app)) if github_app::fault(&app).is_some() => {
                return github_app::fault(&app).map(str::to_owned);
            }
            Ok(_) if ssh => return None,
            Ok(_) => {}
        }
        let tls = Tls { client: self.client_certificate(), ..Tls::default() };
        let proxy = (!self.proxy.is_empty()).then(|| self.proxy.clone());
        // Whom it trusts is not the question, and the system's authorities take their time to read.
        let settings = Settings { tls, proxy, insecure: true, ..Settings::default() };
        settings.client(&Proxies::default(), &Limits::default()).err()
    }

    pub(crate) fn login_kind(&self) -> &'static str {
        match () {
            () if !self.password.is_empty() && (self.force_basic || self.bearer.is_empty()) => "basic",
            () if !self.bearer.is_empty() => "bearer token",
            () if !self.ssh_key.is_empty() => "ssh key",
            () if !self.app_key.is_empty() => "GitHub App",
            () if self.google => "Google service account",
            () if self.azure => "Azure workload identity",
            () if !self.username.is_empty() => "user name",
            () if !self.certificate.is_empty() => "client certificate",
            () => "none",
        }
    }
}

// === impl Values ===

impl Values {
    pub(crate) fn decode(data: BTreeMap<String, Option<Secret>>) -> Self {
        let decoded = data.into_iter().map(|(key, value)| {
            let value = value.unwrap_or_default();
            let bytes = STANDARD.decode(value.reveal()).map(Zeroizing::new);
            let text = match bytes {
                Ok(bytes) => std::str::from_utf8(&bytes)
                    .map(|text| Zeroizing::new(text.to_owned()))
                    .map_err(|_| "is not text (UTF-8)"),
                Err(_) => Err("is not valid base64"),
            };
            (key, text)
        });
        Self(decoded.collect())
    }

    /// What does not do what whoever wrote it may think.
    pub(crate) fn oddities(&self) -> Vec<String> {
        let mut found = Vec::new();
        for key in ["username", "password"] {
            // Argo CD sends it too: to take it off would be a login that nobody wrote.
            if self.0.get(key).is_some_and(|value| value.as_ref().is_ok_and(|text| text.ends_with(['\n', '\r']))) {
                found.push(format!(
                    "its {key} ends with a line break, which is sent too: if it is refused, store it without"
                ));
            }
        }
        found
    }

    pub(crate) fn plain(&self, key: &str, problems: &mut Vec<String>) -> String {
        match self.0.get(key) {
            None => String::new(),
            Some(Ok(text)) => text.as_str().to_owned(),
            Some(Err(wrong)) => {
                problems.push(format!("its '{key}' {wrong}"));
                String::new()
            }
        }
    }

    /// What goes into a header as it is.
    fn header(&self, key: &str, problems: &mut Vec<String>) -> String {
        let text = self.plain(key, problems);
        if text.chars().any(|it| it.is_control() && it != '\t') {
            problems.push(format!(
                "its '{key}' has a line break or another control character, which no header can have: store it without"
            ));
        }
        text
    }

    fn number(&self, key: &str, problems: &mut Vec<String>) -> u64 {
        let text = self.plain(key, problems);
        text.trim().parse().unwrap_or_else(|_| {
            if !text.is_empty() {
                problems.push(format!("its '{key}' is not a number"));
            }
            0
        })
    }

    /// What Go takes for true and false.
    fn flag(&self, key: &str, problems: &mut Vec<String>) -> bool {
        match self.plain(key, problems).trim() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            _ => {
                problems.push(format!("its '{key}' is neither true nor false"));
                false
            }
        }
    }
}
