//! The table of routes has all of them: those of the sources, of docs/openapi.yaml, and of the server.

use std::collections::{BTreeMap, BTreeSet};

use super::routes::{ROUTES, pattern_of};
use super::stand::Stand;

/// Paths in the sources of the two dialects that have a table of routes.
fn paths_of_sources() -> BTreeSet<String> {
    let native = include_str!("../../shards/gateway/src/native/route.rs");
    let desk = include_str!("../../shards/gateway/src/desk/route.rs");
    let mut paths = BTreeSet::new();
    for line in native.lines().chain(desk.lines()) {
        let Some((text, _)) = line.trim().strip_prefix('"').and_then(|rest| rest.split_once('"'))
        else {
            continue;
        };
        let target = line.split("=>").nth(1).unwrap_or_default();
        if !target.contains("Route::") {
            continue;
        }
        let is_parent = target.contains("(last)");
        let root = if text.starts_with('/') { "" } else { "/api/v1/" };
        paths.insert(format!("{root}{text}{}", if is_parent { "/*" } else { "" }));
    }
    paths.extend(["/orders", "/market-data", "/user-data"].map(str::to_owned));
    paths
}

/// `(method, pattern, class)` of the description for machines.
fn operations() -> Vec<(String, String, String)> {
    let (mut path, mut method, mut operations) = (String::new(), String::new(), Vec::new());
    for line in include_str!("../../docs/openapi.yaml").lines() {
        let indent = line.len() - line.trim_start().len();
        match (indent, line.trim().trim_end_matches(':')) {
            (0, "components") => break,
            (2, text) if text.starts_with('/') => path = pattern_of(text),
            (4, word @ ("get" | "post" | "put" | "patch" | "delete")) => {
                method = word.to_uppercase();
            }
            (6, text) => {
                if let Some(class) = text.strip_prefix("x-access: ") {
                    operations.push((method.clone(), path.clone(), class.to_owned()));
                }
            }
            _ => {}
        }
    }
    operations
}

/// Which of the roles may what a class is about, as docs/openapi.yaml tells people.
fn roles_of(class: &str) -> [bool; 5] {
    match class {
        "Public" | "Read" | "Keys" => [true; 5],
        "Trade" | "Withdraw" => [true, true, false, false, true],
        "Look" => [false, false, true, true, true],
        "Audit" => [false, false, false, true, true],
        "Support" => [false, false, true, false, true],
        "Admin" => [false, false, false, false, true],
        other => panic!("no class: {other}"),
    }
}

#[test]
fn no_route_is_missing_in_the_table() {
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in ROUTES {
        methods.entry(row.pattern()).or_default().insert(row.method.to_owned());
    }
    let listed: BTreeSet<String> = methods.keys().cloned().collect();
    assert_eq!(paths_of_sources(), listed, "the routes of the sources and of the table");

    let operations = operations();
    let described: BTreeSet<_> =
        operations.iter().map(|(method, path, _)| (path.clone(), method.clone())).collect();
    let tabled: BTreeSet<_> =
        ROUTES.iter().map(|row| (row.pattern(), row.method.to_owned())).collect();
    assert_eq!(described, tabled, "docs/openapi.yaml and the table");
    for (method, path, class) in operations {
        // The first row of a route is its plain use.
        let row = ROUTES.iter().find(|row| row.pattern() == path && row.method == method);
        let row = row.expect("compared above");
        assert_eq!(row.roles.map(|status| status != 403), roles_of(&class), "{method} {path}");
        assert_eq!(row.nobody == 401, class != "Public", "{method} {path}");
    }

    let stand = Stand::unlimited();
    for (pattern, methods) in methods {
        let path = pattern.replace('*', "1002");
        let answer = stand.at(0).call("OPTIONS", &path, "");
        let allowed = answer.header("allow").unwrap_or_else(|| panic!("{path}: {answer}"));
        let allowed: BTreeSet<String> = allowed
            .split(", ")
            .filter(|method| !["HEAD", "OPTIONS"].contains(method))
            .map(str::to_owned)
            .collect();
        assert_eq!(allowed, methods, "{path}: its methods in the table");
    }
}
