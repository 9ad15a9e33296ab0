//! Where the figures come from: without it a number says nothing.

use std::fmt;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::plan::Places;

/// The machine and the moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Seconds since the epoch.
    pub at_s: u64,
    /// The day and time, UTC.
    pub time: String,
    /// What was measured.
    pub commit: String,
    /// Of the processor.
    pub model: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// GiB.
    pub memory_gib: u64,
    /// Of Linux.
    pub kernel: String,
    /// Of the directory that journals are in.
    pub file_system: String,
    /// Of the last minute, before anything was started: how busy the machine was.
    pub load: String,
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

impl Machine {
    /// This one, now.
    pub fn look(places: &Places) -> Machine {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name\t: "));
        let memory = read("/proc/meminfo");
        let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        let types = output("df", &["--output=fstype", &places.scratch.to_string_lossy()]);
        Machine {
            at_s: since.map_or(0, |since| since.as_secs()),
            time: output("date", &["-u", "+%Y-%m-%d %H:%M"]),
            commit: output("git", &["rev-parse", "--short", "HEAD"]),
            model: model.unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.unwrap_or(0) / (1024 * 1024) + 1,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: types.lines().last().unwrap_or("unknown").to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    /// Of the file that the figures are kept in.
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.time.replace([' ', ':'], "-"), self.at_s % 60)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { time, commit, model, cores, memory_gib, kernel, file_system, load, .. } =
            self;
        write!(
            formatter,
            "{time} UTC, {commit}, {cores} cores of {model}, {memory_gib} GiB, Linux {kernel}, \
             journals on {file_system}, load {load} at the start"
        )
    }
}
