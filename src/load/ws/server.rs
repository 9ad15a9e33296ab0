//! The server's process as the system tells of it, where it runs on this machine.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Ticks of a second in `/proc`: 100 on every Linux, whatever the kernel's own clock.
const TICKS_PER_S: f64 = 100.0;
/// `TCP_LISTEN` in `/proc/net/tcp`.
const LISTENING: &str = "0A";
// Columns of a line there, and of `/proc/PID/stat` behind the name.
const LOCAL_COLUMN: usize = 1;
const STATE_COLUMN: usize = 3;
const INODE_COLUMN: usize = 9;
const USER_TICKS_COLUMN: usize = 11;
const SYSTEM_TICKS_COLUMN: usize = 12;

/// What it has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    pub cpu_s: f64,
    pub resident_bytes: u64,
}

/// Whoever listens at an address, if it may be seen.
pub fn listener(address: SocketAddr) -> Option<u32> {
    if !address.ip().is_loopback() {
        return None;
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
    let inodes: Vec<String> = inodes.flat_map(|text| listening(&text, address.port())).collect();
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.find(|&pid| has_socket(pid, &inodes))
}

/// Inodes of the sockets that listen at a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let end = format!(":{port:04X}");
    let inode = |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = columns.get(STATE_COLUMN) == Some(&LISTENING)
            && columns.get(LOCAL_COLUMN).is_some_and(|local| local.ends_with(&end));
        columns.get(INODE_COLUMN).filter(|_| is_it).map(|inode| (*inode).to_owned())
    };
    table.lines().filter_map(inode).collect()
}

fn has_socket(pid: u32, inodes: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let is_one = |link: &Path| {
        let name = link.to_string_lossy();
        let inode = name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.iter().any(|known| known == inode))
    };
    links.any(|link| is_one(&link))
}

/// What a process has used, if it is there.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage { cpu_s: cpu_s(&stat)?, resident_bytes: resident_bytes(&status)? })
}

fn cpu_s(stat: &str) -> Option<f64> {
    // The name is in brackets and may hold anything.
    let (_, behind) = stat.rsplit_once(')')?;
    let columns: Vec<&str> = behind.split_ascii_whitespace().collect();
    let ticks = |column: usize| columns.get(column)?.parse::<f64>().ok();
    Some((ticks(USER_TICKS_COLUMN)? + ticks(SYSTEM_TICKS_COLUMN)?) / TICKS_PER_S)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn whoever_listens_is_found_by_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(super::listener(address), Some(std::process::id()));
        drop(listener);
        assert_eq!(super::listener(address), None);
    }

    #[test]
    fn a_process_has_memory_and_its_cpu_never_goes_back() {
        let before = usage(std::process::id()).unwrap();
        let after = usage(std::process::id()).unwrap();
        assert!(before.resident_bytes > 100_000 && after.cpu_s >= before.cpu_s, "{before:?}");
        assert_eq!(usage(u32::MAX), None);
    }

    #[test]
    fn columns_are_counted_behind_the_name() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194304 1 2 3 4 250 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(cpu_s(stat), Some(3.0));
    }
}
