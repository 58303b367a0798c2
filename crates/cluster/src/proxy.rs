//! Whether the API server is reached without the proxy of the environment.
//!
//! The client takes `HTTPS_PROXY` for its own and compares `NO_PROXY` with the proxy's name instead of the server's, so
//! this is decided here. Entry point: [`excluded`].

use std::net::IpAddr;

/// Whether a list as in `NO_PROXY` names this host: `*`, a name with all below it, an address, or a range of addresses.
pub(crate) fn excluded(host: &str, no_proxy: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    no_proxy.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| names(entry, host))
}

fn names(entry: &str, host: &str) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(host) = host.parse::<IpAddr>() {
        return match entry.split_once('/') {
            Some((network, bits)) => in_range(host, network, bits),
            None => entry.trim_matches(['[', ']']).parse() == Ok(host),
        };
    }
    // A port cannot be excluded alone; what is named with one is excluded on all.
    let name = entry.rsplit_once(':').map_or(entry, |(name, _)| name).trim_start_matches("*.").trim_start_matches('.');
    let (host, name) = (host.to_ascii_lowercase(), name.to_ascii_lowercase());
    host == name || host.strip_suffix(&name).is_some_and(|below| !name.is_empty() && below.ends_with('.'))
}

fn in_range(host: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (host, network) {
        (IpAddr::V4(host), IpAddr::V4(network)) if bits <= 32 => {
            (u32::from(host) ^ u32::from(network)).leading_zeros() >= bits
        }
        (IpAddr::V6(host), IpAddr::V6(network)) if bits <= 128 => {
            (u128::from(host) ^ u128::from(network)).leading_zeros() >= bits
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ranges_are_excluded() {
        for (host, no_proxy, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "localhost, 10.0.0.0/8", true),
            ("11.0.0.1", "10.0.0.0/8", false),
            ("10.0.0.1", "10.0.0.0/33", false),
            ("10.0.0.1", "0.0.0.0/0", true),
            ("[fd00::1]", "fd00::/8", true),
            ("::1", "fd00::/8,10.0.0.0/8", false),
            ("api.example.com", "example.com", true),
            ("api.example.com", ".example.com", true),
            ("api.example.com", "*.Example.com", true),
            ("api.example.com", "api.example.com:6443", true),
            ("badexample.com", "example.com", false),
            ("api.example.com", "ample.com", false),
            ("api.example.com", "", false),
            ("api.example.com", ",,", false),
            ("api.example.com", "*", true),
        ] {
            assert_eq!(excluded(host, no_proxy), expected, "{host} in {no_proxy}");
        }
    }
}
