//! `/api/auth/keys` and `/api/auth/roles`.

use engine::Command;
use identity::{
    Access, Change, KeyId, KeyKind, KeyRecord, MAX_KEY_NAME_LENGTH_BYTES, MAX_KEY_NETWORKS,
    Network, Permissions, Role, UserChange,
};
use money::UserId;

use super::respond::{Kind, write_ok};
use super::session::command;
use super::values::time;
use crate::auth::{Caller, Means, read_hex};
use crate::http::Request;
use crate::http::response::Framing;
use crate::json::{Value, read_array, write};
use crate::native::action::{Action, Answer, Respond, Shape};
use crate::native::failure::{Code, Failure};
use crate::native::fields::{Field, body_fields, query_fields};
use crate::native::{Context, write_permissions};

/// Longest life of a key, in s: beyond it, leave the end out.
const MAX_LIFE_S: u64 = 100 * 365 * 24 * 60 * 60;
const MS_PER_S: u64 = 1_000;

/// Whose keys: the caller's own, or another's where the caller may.
fn owner(field: &Field<'_>, caller: &Caller) -> Result<UserId, Failure> {
    match (field.id()?.map(UserId), caller.user) {
        (None, None) => Err(field.missing()),
        (None, Some(user)) => Ok(user),
        (Some(user), own) if own == Some(user) || caller.may(Access::Admin) => Ok(user),
        (Some(_), _) => {
            Err(Failure::new(Code::PermissionDenied, "user_id: only ADMIN may name another user"))
        }
    }
}

/// `GET /api/auth/keys`.
pub(super) fn list(
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    let [user] = query_fields(request.query, ["user_id"])?;
    let user = owner(&user, caller)?;
    let keys: Vec<&KeyRecord> = context.identities.keys_of(user).collect();
    let mut bytes = Vec::new();
    write_ok(&mut bytes, framing, |out| {
        out.extend_from_slice(b"{\"items\":");
        write::array(out, &keys, |out, key| {
            write_key(out, key);
            out.push(b'}');
        });
        out.push(b'}');
    });
    Ok(Action::Answer(Answer { bytes, shows_state: true }))
}

/// Appends a key, left open.
fn write_key(out: &mut Vec<u8>, record: &KeyRecord) {
    out.extend_from_slice(b"{\"api_key\":\"");
    out.extend_from_slice(record.key.to_string().as_bytes());
    out.extend_from_slice(b"\",\"user_id\":");
    write::integer(out, record.user.0);
    out.extend_from_slice(b",\"name\":");
    write::string(out, &record.name);
    out.extend_from_slice(match record.kind {
        KeyKind::Hmac { .. } => b",\"kind\":\"hmac\",\"permissions\":",
        KeyKind::Ed25519 { .. } => b",\"kind\":\"ed25519\",\"permissions\":",
    });
    write_permissions(out, record.permissions);
    out.extend_from_slice(b",\"addresses\":");
    write::array(out, &record.networks, |out, network| {
        write::string(out, &network.to_string());
    });
    time(out, ",\"created_ts_ns\":", Some(record.created_ms));
    time(out, ",\"expires_ts_ns\":", record.expires_ms);
    time(out, ",\"last_used_ts_ns\":", record.used_ms);
}

/// `POST /api/auth/keys`.
pub(super) fn create(
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    let [user, name, permissions, addresses, life, public_key] = body_fields(
        request.body,
        ["user_id", "name", "permissions", "addresses", "expires_in_s", "public_key"],
    )?;
    let user = owner(&user, caller)?;
    let name_text = name.required_text()?;
    if name_text.is_empty() || name_text.len() > MAX_KEY_NAME_LENGTH_BYTES {
        let most = MAX_KEY_NAME_LENGTH_BYTES;
        return Err(name.failure(format_args!("must be 1 to {most} bytes long")));
    }
    let life_s = life.integer(1, MAX_LIFE_S)?;
    let record = KeyRecord {
        key: random_key(context),
        user,
        name: name_text.to_owned(),
        kind: read_kind(&public_key, context)?,
        permissions: read_permissions(&permissions)?,
        networks: read_networks(&addresses)?,
        created_ms: context.now_ms,
        expires_ms: life_s.map(|life_s| context.now_ms + life_s * MS_PER_S),
        used_ms: None,
    };
    check_no_freer(&record, caller, context)?;
    let shape = Shape::Desk(Kind::KeyMade(record.key));
    let command = Command::Identity(Box::new(Change::AddKey(record)));
    Ok(Action::IfUser { user, command, respond: Respond { shape, framing } })
}

fn random_key(context: &Context<'_>) -> KeyId {
    let mut bytes = [0; 8];
    context.world.random(&mut bytes);
    KeyId(u64::from_be_bytes(bytes))
}

fn read_kind(public_key: &Field<'_>, context: &Context<'_>) -> Result<KeyKind, Failure> {
    let Some(text) = public_key.text()? else {
        return Ok(KeyKind::Hmac { generation: context.auth.secrets.generation() });
    };
    let public = read_hex(text.as_bytes());
    let rule = "must be the 64 hexadecimal digits of an Ed25519 public key";
    Ok(KeyKind::Ed25519 { public: public.ok_or_else(|| public_key.failure(rule))? })
}

/// The texts of an array, each read by `read`.
fn read_texts<T>(
    field: &Field<'_>,
    most: usize,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>, Failure> {
    let list = match field.value {
        Value::Array(list) => list,
        Value::Absent | Value::Null => return Ok(None),
        _ => return Err(field.failure("must be an array of text")),
    };
    let mut items = Vec::new();
    read_array(list, |index, value| {
        let failure = |rule: &str| {
            Failure::new(Code::InvalidParameter, format!("{}[{index}]: {rule}", field.name))
        };
        let Value::Text(text) = value else { return Err(failure("must be text")) };
        if index >= most {
            return Err(field.failure(format_args!("must have at most {most} entries")));
        }
        items.push(read(&text).map_err(|rule| failure(&rule))?);
        Ok(())
    })?;
    Ok(Some(items))
}

fn read_permissions(field: &Field<'_>) -> Result<Permissions, Failure> {
    let words = read_texts(field, Permissions::WORDS.len(), |text| {
        Permissions::parse(text).ok_or_else(|| "must be read, trade, withdraw or admin".to_owned())
    })?;
    let words = words.ok_or_else(|| field.missing())?;
    if words.is_empty() {
        return Err(field.failure("must name at least one permission"));
    }
    Ok(words.into_iter().fold(Permissions::NONE, Permissions::and))
}

fn read_networks(field: &Field<'_>) -> Result<Vec<Network>, Failure> {
    let networks = read_texts(field, MAX_KEY_NETWORKS, |text| {
        Network::parse(text).map_err(|error| error.to_string())
    })?;
    Ok(networks.unwrap_or_default())
}

/// Who came in by a key makes no key that may do more, last longer or be used from elsewhere: else whoever
/// steals a restricted key makes itself a free one.
fn check_no_freer(
    record: &KeyRecord,
    caller: &Caller,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let Means::Key(key) = caller.means else { return Ok(()) };
    let Some(own) = context.identities.key(key) else {
        return Err(Failure::new(Code::AuthFailed, "X-API-KEY: has ended"));
    };
    let denied = |detail: &str| Err(Failure::new(Code::PermissionDenied, detail));
    if !own.permissions.contains(record.permissions) {
        return denied("permissions: a key cannot give more than it has");
    }
    if own.expires_ms.is_some_and(|end| record.expires_ms.is_none_or(|new| new > end)) {
        return denied("expires_in_s: a key cannot make one that outlives it");
    }
    let is_within = |network: &Network| own.networks.iter().any(|own| own.covers(network));
    let is_narrow = own.networks.is_empty()
        || (!record.networks.is_empty() && record.networks.iter().all(is_within));
    if !is_narrow {
        return denied("addresses: a key cannot make one for other addresses than its own");
    }
    Ok(())
}

/// `DELETE /api/auth/keys`.
pub(super) fn revoke(
    request: &Request<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    let [field] = query_fields(request.query, ["api_key"])?;
    let key =
        KeyId::parse(field.required_text()?.as_bytes()).map_err(|rule| field.failure(rule))?;
    let owner = match caller.may(Access::Admin) {
        true => None,
        false => caller.user,
    };
    Ok(command(Change::RevokeKey { key, owner }, Kind::KeyEnded(key), framing))
}

/// Appends the answer to a key that is made: with its secret, once.
pub(super) fn write_made(out: &mut Vec<u8>, key: KeyId, context: &Context<'_>) {
    let Some(record) = context.identities.key(key) else { return out.extend_from_slice(b"{}") };
    write_key(out, record);
    if let Some(secret) = context.auth.secrets.of_key(record) {
        out.extend_from_slice(b",\"api_secret\":\"");
        out.extend_from_slice(secret.reveal().as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
}

/// `GET /api/auth/roles`.
pub(super) fn roles(context: &Context<'_>, framing: Framing) -> Action {
    let mut bytes = Vec::new();
    write_ok(&mut bytes, framing, |out| {
        out.extend_from_slice(b"{\"roles\":");
        write::array(out, &Role::ALL, |out, &role| {
            out.extend_from_slice(b"{\"role\":\"");
            out.extend_from_slice(role.as_str().as_bytes());
            out.extend_from_slice(b"\",\"allows\":");
            let allowed: Vec<Access> =
                Access::ALL.into_iter().filter(|&access| role.allows(access)).collect();
            write::array(out, &allowed, |out, access| write::string(out, access.as_str()));
            out.extend_from_slice(b",\"permissions\":");
            write_permissions(out, Permissions::of_role(role));
            out.push(b'}');
        });
        out.extend_from_slice(b",\"users\":");
        let users: Vec<(UserId, Role)> = context
            .identities
            .users()
            .filter(|(_, known)| known.role != Role::User)
            .map(|(user, known)| (user, known.role))
            .collect();
        write::array(out, &users, |out, &(user, role)| {
            out.extend_from_slice(b"{\"user_id\":");
            write::integer(out, user.0);
            out.extend_from_slice(b",\"role\":\"");
            out.extend_from_slice(role.as_str().as_bytes());
            out.extend_from_slice(b"\"}");
        });
        out.push(b'}');
    });
    Action::Answer(Answer { bytes, shows_state: true })
}

/// `POST /api/auth/roles`.
pub(super) fn set_role(request: &Request<'_>, framing: Framing) -> Result<Action, Failure> {
    let [user, role] = body_fields(request.body, ["user_id", "role"])?;
    let user = UserId(user.required_id()?);
    let role: Role = role.required_word()?;
    let change = Change::User(UserChange { user, role: Some(role), ..UserChange::default() });
    let command = Command::Identity(Box::new(change));
    let shape = Shape::Desk(Kind::RoleSet(user, role));
    Ok(Action::IfUser { user, command, respond: Respond { shape, framing } })
}
