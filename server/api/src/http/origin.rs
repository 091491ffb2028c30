//! Whether a browser's page may send requests here.
//!
//! A server on loopback is within reach of every page its user opens: by a plain cross-site request, or by a name that
//! its owner points at 127.0.0.1 (DNS rebinding). Browsers name the page's origin on every POST and every cross-site
//! request, and no SDK, CLI or curl sends one. So a request that bears an origin must come from a page on this machine
//! or from one that the settings trust; everything else is refused before its body is read.

use hyper::Uri;

/// Whether `origin`, a header's value, is a loopback address or one of `trusted`.
pub(super) fn is_trusted(origin: &[u8], trusted: &[String]) -> bool {
    let Ok(origin) = std::str::from_utf8(origin) else {
        return false;
    };
    trusted.iter().any(|one| one == origin) || is_loopback(origin)
}

fn is_loopback(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else {
        return false;
    };
    let Some(host) = uri.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_and_trusted_ones() {
        let trusted = ["https://console.example.com".to_owned()];
        let ok = |origin: &str| is_trusted(origin.as_bytes(), &trusted);
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://LOCALHOST:1",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:3000",
            "http://app.localhost:3000",
            "https://console.example.com",
        ] {
            assert!(ok(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example:8000",
            "http://10.0.0.1",
            "https://console.example.com.evil.example",
            "file://",
            "\u{fffd}",
        ] {
            assert!(!ok(origin), "{origin}");
        }
    }
}
