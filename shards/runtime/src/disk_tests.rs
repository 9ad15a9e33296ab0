//! [`DirectDisk`] on the real file system, in a real executor.

use super::*;
use crate::test_directory::TestDirectory;
use glommio::LocalExecutor;

const SEGMENT_BYTES: u64 = 1024 * 1024;

fn config(durability: Durability) -> DirectDiskConfig {
    DirectDiskConfig { durability, ..DirectDiskConfig::default() }
}

fn run_on_both(name: &str, test: impl AsyncFn(DirectDisk)) {
    for durability in [Durability::EachWrite, Durability::Sync] {
        let directory = TestDirectory::new(name);
        let disk = DirectDisk::open(directory.path(), config(durability)).unwrap();
        LocalExecutor::default().run(test(disk));
    }
}

#[test]
fn what_is_written_is_read_back() {
    run_on_both("disk-round-trip", async |disk| {
        let file = disk.create("a", SEGMENT_BYTES).await.unwrap();
        disk.sync_directory().await.unwrap();
        assert_eq!(file.length().await.unwrap(), SEGMENT_BYTES);
        let mut buffer = disk.buffer(3 * BLOCK_BYTES);
        assert!(buffer.bytes().iter().all(|byte| *byte == 0));
        buffer.bytes_mut().fill(7);
        // Whole, then a part at another place; the buffer comes back with its content.
        let (mut buffer, written) = file.write_at(buffer, 3 * BLOCK_BYTES, 0).await;
        assert_eq!(written.unwrap(), 3 * BLOCK_BYTES);
        buffer.bytes_mut()[0] = 9;
        let (buffer, written) = file.write_at(buffer, BLOCK_BYTES, 8 * BLOCK_BYTES as u64).await;
        assert_eq!(written.unwrap(), BLOCK_BYTES);
        assert_eq!((buffer.bytes().len(), buffer.bytes()[1]), (3 * BLOCK_BYTES, 7));
        file.sync().await.unwrap();
        drop(file);

        let file = disk.open("a").await.unwrap();
        let bytes = file.read_at(0, SEGMENT_BYTES as usize + BLOCK_BYTES).await.unwrap();
        assert_eq!(bytes.len() as u64, SEGMENT_BYTES, "fewer only at the end of the file");
        assert!(bytes[..3 * BLOCK_BYTES].iter().all(|byte| *byte == 7));
        assert_eq!(bytes[8 * BLOCK_BYTES..][..2], [9, 7]);
        assert!(bytes[9 * BLOCK_BYTES..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn a_buffer_can_be_larger_than_the_registered_memory() {
    run_on_both("disk-large", async |disk| {
        const LENGTH: usize = 24 * 1024 * 1024;
        let file = disk.create("large", LENGTH as u64).await.unwrap();
        let mut buffer = disk.buffer(LENGTH);
        buffer.bytes_mut()[LENGTH - 1] = 1;
        let (_, written) = file.write_at(buffer, LENGTH, 0).await;
        assert_eq!(written.unwrap(), LENGTH);
        let tail = file.read_at((LENGTH - BLOCK_BYTES) as u64, BLOCK_BYTES).await.unwrap();
        assert_eq!(tail[BLOCK_BYTES - 1], 1);
    });
}

#[test]
fn a_file_without_a_length_grows_with_every_write() {
    run_on_both("disk-grows", async |disk| {
        let file = disk.create("growing", 0).await.unwrap();
        assert_eq!(file.length().await.unwrap(), 0);
        for block in 0..3 {
            let mut buffer = disk.buffer(2 * BLOCK_BYTES);
            buffer.bytes_mut().fill(block + 1);
            let offset = u64::from(block) * 2 * BLOCK_BYTES as u64;
            let (_, written) = file.write_at(buffer, 2 * BLOCK_BYTES, offset).await;
            assert_eq!(written.unwrap(), 2 * BLOCK_BYTES);
        }
        file.sync().await.unwrap();
        assert_eq!(file.length().await.unwrap(), 6 * BLOCK_BYTES as u64);
        let bytes = file.read_at(0, 8 * BLOCK_BYTES).await.unwrap();
        assert_eq!(bytes.len(), 6 * BLOCK_BYTES);
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(at, &byte)| at / BLOCK_BYTES / 2 + 1 == usize::from(byte))
        );
    });
}

#[test]
fn names_are_created_once_listed_renamed_and_removed() {
    run_on_both("disk-names", async |disk| {
        disk.create("a", SEGMENT_BYTES).await.unwrap();
        let again = disk.create("a", SEGMENT_BYTES).await.err().unwrap();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert!(again.to_string().contains("disk-names"), "{again}");
        disk.create("b", 0).await.unwrap();
        disk.rename("a", "b").await.unwrap();
        disk.sync_directory().await.unwrap();
        assert_eq!(disk.list().await.unwrap(), ["b"]);
        assert_eq!(disk.open("b").await.unwrap().length().await.unwrap(), SEGMENT_BYTES);
        disk.remove("b").await.unwrap();
        assert!(disk.list().await.unwrap().is_empty());
        let missing = disk.open("b").await.err().unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(disk.open("../escape").await.is_err());
    });
}

#[test]
fn bad_offsets_and_lengths_are_refused() {
    run_on_both("disk-bounds", async |disk| {
        let file = disk.create("a", SEGMENT_BYTES).await.unwrap();
        let buffer = disk.buffer(BLOCK_BYTES);
        let (buffer, result) = file.write_at(buffer, BLOCK_BYTES, 1).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let (buffer, result) = file.write_at(buffer, 2 * BLOCK_BYTES, 0).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let (_, result) = file.write_at(buffer, 0, 0).await;
        assert_eq!(result.unwrap(), 0);
        assert!(file.read_at(5, BLOCK_BYTES).await.is_err());
        // Past the end there is nothing.
        assert!(file.read_at(SEGMENT_BYTES, BLOCK_BYTES).await.unwrap().is_empty());
    });
}

#[test]
fn an_impossible_allocation_says_so_and_leaves_nothing() {
    run_on_both("disk-full", async |disk| {
        // Beyond any file's length: what a file may have but the disk has not would be taken until
        // nothing is left, and other tests would find a full disk meanwhile.
        const TOO_MUCH_BYTES: u64 = 1 << 60;
        let error = disk.create("huge", TOO_MUCH_BYTES).await.err().unwrap();
        let expected = [io::ErrorKind::StorageFull, io::ErrorKind::FileTooLarge];
        assert!(expected.contains(&error.kind()), "{error:?}");
        assert!(disk.list().await.unwrap().is_empty());
    });
}

#[test]
fn a_file_system_in_memory_is_refused_unless_asked_for() {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return;
    }
    let error = DirectDisk::open(memory, DirectDiskConfig::default()).unwrap_err();
    assert!(error.to_string().contains("--data"), "{error}");
    let path = memory.join(format!("ringbook-disk-{}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    let config = DirectDiskConfig { allow_memory: true, ..DirectDiskConfig::default() };
    let disk = DirectDisk::open(&path, config).unwrap();
    LocalExecutor::default().run(async move {
        let file = disk.create("a", SEGMENT_BYTES).await.unwrap();
        let (_, written) = file.write_at(disk.buffer(BLOCK_BYTES), BLOCK_BYTES, 0).await;
        assert_eq!(written.unwrap(), BLOCK_BYTES);
        file.sync().await.unwrap();
    });
    std::fs::remove_dir_all(&path).unwrap();
}
