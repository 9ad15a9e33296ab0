//! The configuration of the bounds on connections: flags over the file over defaults.

use anyhow::{Result, ensure};
use clap::Args;
use runtime::ConnectionLimits;
use serde::Deserialize;

/// Flags, and the table `[limits]` of the file.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitArguments {
    /// Most connections of all shards together [default: 65536]
    #[arg(long, env = "RINGBOOK_MAX_CONNECTIONS", value_name = "N")]
    max_connections: Option<usize>,
    /// Most connections of one shard [default: 32768]
    #[arg(long, env = "RINGBOOK_MAX_CONNECTIONS_PER_SHARD", value_name = "N")]
    max_connections_per_shard: Option<usize>,
    /// Most connections of one address [default: 1024, and any number from this machine]
    #[arg(long, env = "RINGBOOK_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    max_connections_per_address: Option<usize>,
    /// Most messages a second on one WebSocket, as many at once; 0: any number [default: 0]
    #[arg(long, env = "RINGBOOK_MAX_MESSAGES_PER_S", value_name = "N")]
    max_messages_per_s: Option<u32>,
}

/// Puts flags, file and defaults together.
pub fn combine(flags: LimitArguments, file: LimitArguments) -> Result<ConnectionLimits> {
    let defaults = ConnectionLimits::default();
    let total = flags.max_connections.or(file.max_connections);
    let per_shard = flags.max_connections_per_shard.or(file.max_connections_per_shard);
    let per_address = flags.max_connections_per_address.or(file.max_connections_per_address);
    for (name, value) in [
        ("max_connections", total),
        ("max_connections_per_shard", per_shard),
        ("max_connections_per_address", per_address),
    ] {
        ensure!(value != Some(0), "{name}: must be at least 1");
    }
    let messages_per_s = flags.max_messages_per_s.or(file.max_messages_per_s);
    Ok(ConnectionLimits {
        total: total.unwrap_or(defaults.total),
        per_shard: per_shard.unwrap_or(defaults.per_shard),
        per_address,
        messages_per_s: messages_per_s.unwrap_or(defaults.messages_per_s),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> LimitArguments {
        toml::from_str(text).expect("a table")
    }

    #[test]
    fn a_flag_is_stronger_than_the_file() {
        let flags = LimitArguments { max_connections: Some(7), ..LimitArguments::default() };
        let file = file("max_connections = 9\nmax_messages_per_s = 3");
        let limits = combine(flags, file).expect("good");
        assert_eq!((limits.total, limits.messages_per_s), (7, 3));
        let rest = (limits.per_shard, limits.per_address);
        assert_eq!(rest, (ConnectionLimits::default().per_shard, None));
    }

    #[test]
    fn no_connections_at_all_are_a_mistake() {
        for name in ["max_connections", "max_connections_per_shard", "max_connections_per_address"]
        {
            let error = combine(LimitArguments::default(), file(&format!("{name} = 0")));
            assert!(error.unwrap_err().to_string().starts_with(name));
        }
    }
}
