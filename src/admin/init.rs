//! `ringbook admin init`: the first administrator of a server in production, who can make all others.
//!
//! It works on the data directory itself, before the server runs: nobody could prove to a running one that
//! it may. The administrator is journaled like everything else; its password and the secret of its key are
//! shown once and stored nowhere.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use engine::{Command, Refusal, Reply};
use gateway::auth::{Auth, Password, PasswordVerdict, Secret, Secrets};
use identity::{Change, KeyId, KeyKind, KeyRecord, Permissions, Role, UserChange};
use money::{ShardId, UserId};
use runtime::{AuthConfig, Client, Layout, NodeConfig, Request};

use super::place;
use crate::auth::read_secret;
use crate::{private_file, terminal};

/// Random bytes of a first password.
const PASSWORD_BYTES: usize = 16;

/// `admin init`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Shows the administrator's password and API key once. Running it again makes a new password and another
key, for who has lost them. With --credential-file the key and its secret are written there instead,
for the other commands of `ringbook admin`.

Example:
  ringbook admin init --data /var/lib/ringbook --secret-file /etc/ringbook.secret \\
    --credential-file ~/.ringbook
  ringbook serve --host 0.0.0.0 --data /var/lib/ringbook --secret-file /etc/ringbook.secret")]
pub struct InitArguments {
    /// Data directory, made if it is not there
    #[arg(long, env = "RINGBOOK_DATA", default_value = "./data", value_name = "DIR")]
    data: PathBuf,
    /// File of the server's secret, made if it is not there. Keep it away from the data directory: who
    /// has both can sign as anybody
    #[arg(long, env = "RINGBOOK_SECRET_FILE", value_name = "FILE")]
    secret_file: PathBuf,
    /// The administrator's user id
    #[arg(long, default_value_t = 1, value_name = "ID")]
    user_id: u64,
    /// Number of shards of a new data directory [default: one per available core]
    #[arg(long, env = "RINGBOOK_SHARDS", value_name = "N")]
    shards: Option<u16>,
    /// File for the key and its secret, readable by its owner only; must not be there yet
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
}

/// What is shown once.
struct Made {
    user: UserId,
    password: String,
    key: KeyId,
    secret: String,
}

/// Does it.
pub fn run(arguments: InitArguments) -> Result<()> {
    ensure!(arguments.user_id < money::ID_LIMIT, "user_id: must be below 2^53");
    // First of all: a secret that cannot be written down would be lost.
    let file = arguments.credential_file.as_deref().map(private_file::create).transpose();
    let mut file = file.context("credential-file")?;
    let done = make_first(&arguments, file.as_mut());
    if let (Err(_), Some(path)) = (&done, &arguments.credential_file) {
        let _ = std::fs::remove_file(path);
    }
    done
}

fn make_first(arguments: &InitArguments, file: Option<&mut File>) -> Result<()> {
    let path = &arguments.secret_file;
    let secret = match path.exists() {
        true => read_secret(path).context("secret_file")?,
        false => runtime::make_secret(path)
            .with_context(|| format!("secret_file: cannot make {}", path.display()))?,
    };
    let kept = match arguments.data.exists() {
        true => Layout::read(&arguments.data)?.map(|layout| layout.shards),
        false => None,
    };
    let config = NodeConfig {
        data: arguments.data.clone(),
        shards: kept.or(arguments.shards),
        listen: false,
        auth: AuthConfig { secrets: vec![secret.clone()], ..AuthConfig::default() },
        ..NodeConfig::default()
    };
    let user = UserId(arguments.user_id);
    let (results, result) = sync_channel(1);
    let driver: runtime::Driver = Box::new(move |client| {
        Box::pin(async move {
            let _ = results.send(make(&client, user, &secret).await);
        })
    });
    runtime::run(config, Box::new(|_| {}), Some(driver))?;
    let made = result.try_recv().map_err(|_| anyhow!("stopped before it was done"))??;
    let Made { user, password, key, secret } = made;
    let head = format!("administrator {user}, role ADMIN\npassword   {password}\napi key    {key}");
    let secret = match (file, &arguments.credential_file) {
        (Some(file), Some(path)) => {
            place::write_credential(file, key, &secret).context("credential-file")?;
            format!("written to {}", path.display())
        }
        _ => secret,
    };
    terminal::say(&format!(
        "{head}\napi secret {secret}\n\
         These are shown once. Change the password with `ringbook admin user set {user} --password`.\n"
    ));
    Ok(())
}

async fn make(client: &Client, user: UserId, secret: &Secret) -> Result<Made> {
    let secrets = Secrets::new(std::slice::from_ref(secret));
    let auth = Auth { secrets, ..Auth::development() };
    let create =
        Command::CreateUser { user: Some(user), shard: ShardId(0), name: Some("admin".to_owned()) };
    match client.call(Request::Command(create)).await {
        Reply::User(_) | Reply::Refused(Refusal::UserExists) => {}
        other => bail!("the user cannot be made: {other:?}"),
    }
    let password = super::hex(&random::<PASSWORD_BYTES>()?);
    let salt = random::<64>()?;
    let job = auth.password_job(None, Some(Password::new(&password)), |bytes| {
        bytes.copy_from_slice(&salt[..bytes.len()]);
    });
    let PasswordVerdict::Right { hash: Some(hash) } = job.run() else {
        bail!("the password cannot be hashed");
    };
    let change = UserChange {
        user,
        role: Some(Role::Admin),
        password_hash: Some(hash),
        ..UserChange::default()
    };
    change_identity(client, Change::User(change)).await?;
    let record = KeyRecord {
        key: KeyId(u64::from_be_bytes(random()?)),
        user,
        name: "admin init".to_owned(),
        kind: KeyKind::Hmac { generation: auth.secrets.generation() },
        permissions: Permissions::ALL,
        networks: Vec::new(),
        created_ms: now_ms(),
        expires_ms: None,
        used_ms: None,
    };
    let shown = auth.secrets.of_key(&record).context("the key has no secret")?.reveal();
    let key = record.key;
    change_identity(client, Change::AddKey(record)).await?;
    Ok(Made { user, password, key, secret: shown })
}

async fn change_identity(client: &Client, change: Change) -> Result<()> {
    match client.call(Request::Command(Command::Identity(Box::new(change)))).await {
        Reply::Identity(_) => Ok(()),
        Reply::Refused(refusal) => bail!("{refusal}"),
        other => bail!("an answer that does not fit: {other:?}"),
    }
}

/// From the system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut source = File::open("/dev/urandom").context("no random bytes")?;
    source.read_exact(&mut bytes).context("no random bytes")?;
    Ok(bytes)
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as u64
}
