//! The configuration of the bounds on connections, and of how fast whom: flags over the file over
//! defaults.

use anyhow::{Result, ensure};
use clap::Args;
use gateway::middleware::Limits;
use identity::Rate;
use runtime::ConnectionLimits;
use serde::Deserialize;

/// Fastest that anybody may be made, a second.
const MAX_PER_SECOND: u32 = 1_000_000;

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
    /// Orders a second of one user; 0: any number [default: 100 in production, 0 in development, as
    /// all that follow]
    #[arg(long, env = "RINGBOOK_ORDERS_PER_SECOND", value_name = "N")]
    orders_per_second: Option<u32>,
    /// How many of them at once [default: 10]
    #[arg(long, env = "RINGBOOK_ORDERS_BURST", value_name = "N")]
    orders_burst: Option<u32>,
    /// Orders a second of one user with the role MARKET_MAKER; 0: any number [default: 1000]
    #[arg(long, env = "RINGBOOK_MARKET_MAKER_ORDERS_PER_SECOND", value_name = "N")]
    market_maker_orders_per_second: Option<u32>,
    /// How many of them at once [default: 100]
    #[arg(long, env = "RINGBOOK_MARKET_MAKER_ORDERS_BURST", value_name = "N")]
    market_maker_orders_burst: Option<u32>,
    /// Weight a second of what else one user asks; 0: any [default: 100]
    #[arg(long, env = "RINGBOOK_REQUESTS_PER_SECOND", value_name = "N")]
    requests_per_second: Option<u32>,
    /// How much of it at once [default: 200]
    #[arg(long, env = "RINGBOOK_REQUESTS_BURST", value_name = "N")]
    requests_burst: Option<u32>,
    /// Weight a second of what one address asks without saying who it is; 0: any [default: 50]
    #[arg(long, env = "RINGBOOK_ADDRESS_REQUESTS_PER_SECOND", value_name = "N")]
    address_requests_per_second: Option<u32>,
    /// How much of it at once [default: 200]
    #[arg(long, env = "RINGBOOK_ADDRESS_REQUESTS_BURST", value_name = "N")]
    address_requests_burst: Option<u32>,
    /// Logins to one user in a minute, good or bad; 0: any number [default: 10]
    #[arg(long, env = "RINGBOOK_LOGINS_PER_MINUTE", value_name = "N")]
    logins_per_minute: Option<u32>,
}

/// Puts flags, file and defaults together: bounds on connections.
pub fn connections(flags: &LimitArguments, file: &LimitArguments) -> Result<ConnectionLimits> {
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

/// Puts flags, file and defaults together: how fast whom. The development mode has no limits but those
/// that are set.
pub fn rates(
    flags: &LimitArguments,
    file: &LimitArguments,
    is_development: bool,
) -> Result<Limits> {
    let defaults = Limits::PRODUCTION;
    let or_off = |rate: Rate| match is_development {
        true => Rate { orders_per_second: 0, ..rate },
        false => rate,
    };
    let rate = |name: &str, rate: [Option<u32>; 2], burst: [Option<u32>; 2], default: Rate| {
        let default = or_off(default);
        let orders_per_second = rate[0].or(rate[1]).unwrap_or(default.orders_per_second);
        let burst = burst[0].or(burst[1]).unwrap_or(default.burst);
        ensure!(
            orders_per_second <= MAX_PER_SECOND,
            "{name}_per_second: must be at most {MAX_PER_SECOND}"
        );
        ensure!(
            (1..=MAX_PER_SECOND).contains(&burst),
            "{name}_burst: must be from 1 to {MAX_PER_SECOND}"
        );
        Ok(Rate { orders_per_second, burst })
    };
    let logins = flags.logins_per_minute.or(file.logins_per_minute);
    Ok(Limits {
        orders: rate(
            "orders",
            [flags.orders_per_second, file.orders_per_second],
            [flags.orders_burst, file.orders_burst],
            defaults.orders,
        )?,
        market_maker_orders: rate(
            "market_maker_orders",
            [flags.market_maker_orders_per_second, file.market_maker_orders_per_second],
            [flags.market_maker_orders_burst, file.market_maker_orders_burst],
            defaults.market_maker_orders,
        )?,
        requests: rate(
            "requests",
            [flags.requests_per_second, file.requests_per_second],
            [flags.requests_burst, file.requests_burst],
            defaults.requests,
        )?,
        address: rate(
            "address_requests",
            [flags.address_requests_per_second, file.address_requests_per_second],
            [flags.address_requests_burst, file.address_requests_burst],
            defaults.address,
        )?,
        logins_per_minute: logins.unwrap_or(match is_development {
            true => 0,
            false => defaults.logins_per_minute,
        }),
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
        let limits = connections(&flags, &file).expect("good");
        assert_eq!((limits.total, limits.messages_per_s), (7, 3));
        let rest = (limits.per_shard, limits.per_address);
        assert_eq!(rest, (ConnectionLimits::default().per_shard, None));
    }

    #[test]
    fn no_connections_at_all_are_a_mistake() {
        for name in ["max_connections", "max_connections_per_shard", "max_connections_per_address"]
        {
            let error = connections(&LimitArguments::default(), &file(&format!("{name} = 0")));
            assert!(error.unwrap_err().to_string().starts_with(name));
        }
    }

    #[test]
    fn production_is_limited_and_development_only_where_it_is_told() {
        let none = LimitArguments::default();
        assert_eq!(rates(&none, &none, false).unwrap(), Limits::PRODUCTION);
        let off = rates(&none, &none, true).unwrap();
        assert_eq!((off.orders.orders_per_second, off.logins_per_minute), (0, 0));
        let told = rates(&none, &file("orders_per_second = 5"), true).unwrap();
        assert_eq!(told.orders, Rate { orders_per_second: 5, burst: 10 });
        assert_eq!(told.requests.orders_per_second, 0);
        let unlimited = rates(&none, &file("orders_per_second = 0"), false).unwrap();
        assert_eq!(unlimited.orders.orders_per_second, 0);
    }

    #[test]
    fn a_rate_that_cannot_be_is_named() {
        let none = LimitArguments::default();
        for (text, name) in [
            ("orders_burst = 0", "orders_burst"),
            ("requests_per_second = 2000000", "requests_per_second"),
        ] {
            let error = rates(&none, &file(text), false).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
