//! `weir config`: the effective configuration, and where it comes from.

use serde_json::{Map, Value, json};

use crate::config::Settings;
use crate::config::keys::KEYS;
use crate::config::layers::Source;

/// As a file that gives this configuration again; what is no default has a comment that says where it comes from.
pub(crate) fn to_toml(settings: &Settings) -> String {
    let mut out = String::from("# The effective configuration. What has no comment is a default.\n");
    for key in KEYS {
        let Some(setting) = settings.get(key.name) else {
            continue;
        };
        out.push_str(&format!("{} = {}", key.name, key.kind.to_toml(&setting.text)));
        if setting.source != Source::Default {
            // A path may hold a line break, and what follows one would not be a comment any more.
            let source = setting.source.to_string().replace(char::is_control, "?");
            out.push_str(&format!(" # {source}"));
        }
        out.push('\n');
    }
    out
}

/// As one JSON object: per key its value and its source.
pub(crate) fn to_json(settings: &Settings) -> String {
    let entries: Map<String, Value> = KEYS
        .iter()
        .filter_map(|key| {
            let setting = settings.get(key.name)?;
            let value = match key.kind.to_toml(&setting.text) {
                toml::Value::Integer(number) => json!(number),
                toml::Value::Array(items) => items.iter().map(|item| json!(item.as_str())).collect(),
                _ => json!(setting.text),
            };
            let source = match &setting.source {
                Source::Default => "default".to_owned(),
                other => other.to_string(),
            };
            Some((key.name.to_owned(), json!({ "value": value, "source": source })))
        })
        .collect();
    format!("{:#}\n", Value::Object(entries))
}
