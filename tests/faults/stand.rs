//! A disk that can be broken: an ext4 file system on a loop device, either on a plain file or behind a
//! block layer that fails on demand.
//!
//! The layers of the second, from below: an image file; `qemu-storage-daemon`, whose graph is changed
//! while it runs so that writes or flushes fail (`blkdebug`); NBD over a socket; `nbdfuse`, which makes
//! a file of it again; the loop device with direct I/O; ext4. The daemon could export to FUSE by itself,
//! but up to 10.0 that export mixes up concurrent writes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{LIMIT, wait_for};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    Write,
    Flush,
}

/// How an ext4 file system is shut down, as the ioctl has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything is written first.
    Whole = 0,
    /// The file system's journal is written first.
    Journal = 1,
    /// Nothing is: as a power cut.
    Nothing = 2,
}

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, u32)`, from a language whose `ioctl` is safe.
const SHUTDOWN_PROGRAM: &str = r#"
    open(my $file, "<", $ARGV[0]) or die "$ARGV[0]: $!\n";
    my $how = pack("L", $ARGV[1]);
    ioctl($file, 0x8004587D, $how) or die "shutdown: $!\n";
"#;

/// The disk, mounted. Everything that belongs to it ends when it is dropped.
pub struct Stand {
    directory: TempDir,
    device: Option<String>,
    is_mounted: bool,
    /// Of the failing block layer.
    daemons: Vec<Child>,
    control: Option<Control>,
}

impl Stand {
    /// A file system of so many MiB on a plain file.
    pub fn plain(mib: u64) -> Stand {
        let mut stand = Stand::with_image(mib);
        let image = stand.image();
        stand.attach(&image);
        stand.mount();
        stand
    }

    /// One whose block layer can be made to fail.
    pub fn failing(mib: u64) -> Stand {
        let mut stand = Stand::with_image(mib);
        stand.start_daemons();
        let exported = stand.path("export").join("disk");
        stand.attach(&exported);
        stand.mount();
        stand
    }

    fn with_image(mib: u64) -> Stand {
        let directory = crate::support::server::directory();
        let stand =
            Stand { directory, device: None, is_mounted: false, daemons: vec![], control: None };
        let image = std::fs::File::create(stand.image()).expect("an image");
        image.set_len(mib << 20).expect("its length");
        std::fs::create_dir(stand.path("mnt")).expect("a directory");
        std::fs::create_dir(stand.path("export")).expect("a directory");
        // Nothing is left for later, when it would take away space or fail in the background.
        let options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        run("mkfs.ext4", &["-q", "-b", "4096", "-m", "0", "-E", options, text(&stand.image())]);
        stand
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn image(&self) -> PathBuf {
        self.path("disk.img")
    }

    /// A directory on the disk below, for what must survive.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the file system is mounted.
    pub fn mount_point(&self) -> PathBuf {
        self.path("mnt")
    }

    fn attach(&mut self, file: &Path) {
        let attach = ["--find", "--show", "--direct-io=on", text(file)];
        self.device = Some(run("losetup", &attach).trim().to_owned());
    }

    fn device(&self) -> &str {
        self.device.as_deref().expect("attached")
    }

    fn mount(&mut self) {
        run("mount", &["-t", "ext4", "-o", "nodiscard", self.device(), text(&self.mount_point())]);
        self.is_mounted = true;
    }

    /// Unmounts, brings the disk back to work, has the file system repair itself, and mounts again.
    pub fn repair(&mut self) {
        // The kernel lets go of an ended process's files a moment after its end.
        wait_for("the file system to be unused", LIMIT, || {
            let mut unmount = Command::new("umount");
            let unmount = unmount.arg(self.mount_point()).stderr(Stdio::null());
            unmount.status().expect("umount runs").success().then_some(())
        });
        self.is_mounted = false;
        if !self.daemons.is_empty() {
            // From the ground: a daemon that could not flush does not let its graph be changed back.
            let device = self.device.take().expect("attached");
            run("losetup", &["--detach", &device]);
            self.stop_daemons();
            self.start_daemons();
            let exported = self.path("export").join("disk");
            self.attach(&exported);
        }
        let check = Command::new("e2fsck").args(["-f", "-y", self.device()]).output();
        let check = check.expect("e2fsck runs");
        // 1 is "errors were corrected".
        assert!(matches!(check.status.code(), Some(0 | 1)), "e2fsck: {check:?}");
        self.mount();
    }

    /// Shuts the file system down under whoever uses it.
    pub fn shut_down(&self, how: Shutdown) {
        let how = (how as u32).to_string();
        run("perl", &["-e", SHUTDOWN_PROGRAM, text(&self.mount_point()), &how]);
    }

    fn start_daemons(&mut self) {
        // The last is written when all is set up: whoever connects earlier may crash it.
        let [nbd, qmp, started] =
            ["nbd.sock", "qmp.sock", "qemu-storage-daemon.pid"].map(|name| self.path(name));
        for left in [&nbd, &qmp, &started] {
            let _ = std::fs::remove_file(left);
        }
        let arguments = [
            "--blockdev".to_owned(),
            format!(
                "driver=file,node-name=disk,filename={},cache.direct=on,aio=threads",
                self.image().display()
            ),
            "--blockdev".to_owned(),
            "driver=raw,node-name=top,file=disk".to_owned(),
            "--nbd-server".to_owned(),
            format!("addr.type=unix,addr.path={}", nbd.display()),
            "--export".to_owned(),
            "type=nbd,id=export,node-name=top,name=disk,writable=on".to_owned(),
            "--chardev".to_owned(),
            format!("socket,id=qmp,path={},server=on,wait=off", qmp.display()),
            "--monitor".to_owned(),
            "chardev=qmp".to_owned(),
            "--pidfile".to_owned(),
            started.display().to_string(),
        ];
        let log = self.path("qemu-storage-daemon.log");
        self.daemons.push(spawn("qemu-storage-daemon", &arguments, &log));
        let daemon = &mut self.daemons[0];
        self.control = Some(wait_for("qemu-storage-daemon", LIMIT, || {
            if let Some(status) = daemon.try_wait().expect("it can be waited for") {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("qemu-storage-daemon has ended: {status}\n{log}");
            }
            started.exists().then(|| Control::open(&qmp))?
        }));
        let exported = self.path("export").join("disk");
        let uri = format!("nbd+unix:///disk?socket={}", nbd.display());
        let arguments = [text(&exported).to_owned(), uri];
        self.daemons.push(spawn("nbdfuse", &arguments, &self.path("nbdfuse.log")));
        wait_for("nbdfuse", LIMIT, || exported.exists().then_some(()));
    }

    /// From now on writes or flushes fail with EIO: all of them, or the next one alone.
    pub fn fail(&mut self, what: Failing, once: bool) {
        self.control.as_mut().expect("a failing stand").fail(what, once);
    }

    fn stop_daemons(&mut self) {
        self.control = None;
        // With it the second daemon ends.
        let export = self.path("export");
        let _ = Command::new("umount").args(["--lazy", text(&export)]).status();
        for mut daemon in self.daemons.drain(..) {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let quietly = |program: &str, arguments: &[&str]| {
            let _ = Command::new(program).args(arguments).stderr(Stdio::null()).status();
        };
        if self.is_mounted {
            quietly("umount", &["--lazy", text(&self.mount_point())]);
        }
        if let Some(device) = &self.device {
            quietly("losetup", &["--detach", device]);
        }
        if !self.daemons.is_empty() {
            self.stop_daemons();
        }
        if std::thread::panicking() {
            println!("the image of the disk is kept in {}", self.image().display());
            self.directory.disable_cleanup(true);
        }
    }
}

/// The monitor of `qemu-storage-daemon`: JSON, a line each way.
struct Control {
    lines: BufReader<UnixStream>,
    /// Each failing node has a name of its own.
    nodes: u32,
}

impl Control {
    /// `None` if nobody listens.
    fn open(path: &Path) -> Option<Control> {
        let stream = UnixStream::connect(path).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        let mut control = Control { lines: BufReader::new(stream), nodes: 0 };
        control.lines.read_line(&mut String::new()).ok()?;
        control.try_call(r#"{"execute":"qmp_capabilities"}"#).ok()?;
        Some(control)
    }

    fn try_call(&mut self, command: &str) -> std::io::Result<String> {
        self.lines.get_mut().write_all(command.as_bytes())?;
        let mut answer = String::new();
        self.lines.read_line(&mut answer)?;
        Ok(answer)
    }

    fn call(&mut self, command: &str) {
        let answer = self.try_call(command).expect("an answer of qemu-storage-daemon");
        assert!(answer.contains("\"return\""), "{command}: {answer}");
    }

    /// Puts another node below the exported one.
    fn use_file(&mut self, node: &str) {
        let option = format!(r#"{{"driver":"raw","node-name":"top","file":"{node}"}}"#);
        self.call(&format!(
            r#"{{"execute":"blockdev-reopen","arguments":{{"options":[{option}]}}}}"#
        ));
    }

    fn fail(&mut self, what: Failing, once: bool) {
        let kind = if what == Failing::Write { "write" } else { "flush" };
        self.nodes += 1;
        let node = format!("failing-{}", self.nodes);
        let rule = format!(
            r#"{{"event":"none","iotype":"{kind}","errno":5,"once":{once},"immediately":true}}"#
        );
        self.call(&format!(
            r#"{{"execute":"blockdev-add","arguments":{{"driver":"blkdebug","node-name":"{node}","image":"disk","inject-error":[{rule}]}}}}"#
        ));
        self.use_file(&node);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs a program to its good end; gives what it wrote.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn spawn(program: &str, arguments: &[String], log: &Path) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    // They tell every error that they were asked for: not of interest, unless they do not start.
    let log = std::fs::File::create(log).expect("a log file");
    let child = command.stderr(log).spawn();
    child.unwrap_or_else(|error| panic!("{program}: {error}"))
}
