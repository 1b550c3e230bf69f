//! What kernel runs here, and how it was configured.

use std::collections::HashMap;
use std::fmt;

use procfs::{ConfigSetting, Current, KernelConfig};

/// The configuration of the running kernel.
pub struct Configuration(HashMap<String, ConfigSetting>);

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration").field("options", &self.0.len()).finish()
    }
}

impl Configuration {
    /// Reads `/proc/config.gz`, else `/boot/config-RELEASE`, else `/boot/config`.
    /// None where none of them can be read.
    pub fn read() -> Option<Self> {
        KernelConfig::current().ok().map(|KernelConfig(options)| Self(options))
    }

    /// The value of an option (`CONFIG_PERF_EVENTS`): `y`, `m`, a number, or text
    /// without its quotes; none where it is not set.
    pub fn option(&self, name: &str) -> Option<String> {
        Some(match self.0.get(name)? {
            ConfigSetting::Yes => "y".to_owned(),
            ConfigSetting::Module => "m".to_owned(),
            ConfigSetting::Value(value) => {
                let inner = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
                inner.unwrap_or(value).to_owned()
            }
        })
    }
}

/// The release of the running kernel, as `uname -r` gives it
/// (`/proc/sys/kernel/osrelease`, proc(5)); empty where `/proc` does not tell.
pub fn kernel_release() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_given_as_scripts_compare_them() {
        let options = [
            ("CONFIG_A", ConfigSetting::Yes),
            ("CONFIG_B", ConfigSetting::Module),
            ("CONFIG_C", ConfigSetting::Value("250".into())),
            ("CONFIG_D", ConfigSetting::Value("\"-generic\"".into())),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), value));
        let configuration = Configuration(options.into_iter().collect());
        let names = ["CONFIG_A", "CONFIG_B", "CONFIG_C", "CONFIG_D", "CONFIG_E"];
        let found = names.map(|name| configuration.option(name));
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, [Some("y"), Some("m"), Some("250"), Some("-generic"), None]);
    }

    #[test]
    fn the_release_is_that_of_uname() {
        let uname = std::process::Command::new("uname").arg("-r").output();
        let uname = uname.expect("uname is everywhere");
        assert_eq!(kernel_release().as_bytes(), uname.stdout.trim_ascii_end());
    }
}
