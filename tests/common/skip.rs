//! Tests that can not be run everywhere.

/// Says aloud that a test is not run; fails where it must be.
pub(crate) fn skip(why: &str) -> bool {
    eprintln!("SKIPPED: {why}");
    let required = std::env::var_os("HWTRACE_REQUIRE_LIVE");
    assert!(
        required.is_none_or(|value| value != "1"),
        "live tests are required, but {why}"
    );
    false
}
