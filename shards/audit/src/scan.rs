//! Reading lines out of files: plain ones from the end, compressed ones from the beginning.
//!
//! Promises: memory is bounded whatever is in a file; what was read is taken off the budget.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::line::MAX_LINE_BYTES;
use crate::query::Search;

/// Read at once.
const BLOCK_BYTES: usize = 256 << 10;
// A block holds a whole line.
const _: () = assert!(BLOCK_BYTES > 2 * MAX_LINE_BYTES);

/// Gives a plain file's lines to the search, the last one first. The rest behind the last newline is
/// a broken line, or of an open file one that is being written.
pub(crate) fn scan_plain(path: &Path, is_open: bool, search: &mut Search) -> io::Result<()> {
    let file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut block = vec![0; BLOCK_BYTES];
    let mut is_first = true;
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES as u64);
        let bytes = &mut block[..(end - start) as usize];
        if search.budget_bytes < bytes.len() as u64 {
            search.truncated = true;
            return Ok(());
        }
        search.budget_bytes -= bytes.len() as u64;
        file.read_exact_at(bytes, start)?;
        let mut lines = &bytes[..];
        if std::mem::take(&mut is_first) {
            let whole = lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            search.broken_lines += u64::from(whole < lines.len() && !is_open);
            lines = &lines[..whole];
        }
        let whole_from = match lines.iter().position(|&byte| byte == b'\n') {
            _ if start == 0 => 0,
            Some(at) if at + 1 < lines.len() => at + 1,
            // A line longer than any of the trail: it is passed over block by block.
            _ => {
                search.broken_lines += 1;
                end = start;
                continue;
            }
        };
        let lines_here = &lines[whole_from..];
        let lines_here = lines_here.strip_suffix(b"\n").unwrap_or(lines_here);
        for line in lines_here.rsplit(|&byte| byte == b'\n') {
            if !lines.is_empty() && !search.take(line) {
                return Ok(());
            }
        }
        end = start + whole_from as u64;
    }
    Ok(())
}

/// Gives a compressed file's lines to `take`, the first one first. What is damaged in it ends the
/// reading there and counts as a broken line.
pub(crate) fn scan_packed(
    path: &Path,
    search: &mut Search,
    mut take: impl FnMut(&mut Search, &[u8]),
) -> io::Result<()> {
    let unpacked = MultiGzDecoder::new(BufReader::new(File::open(path)?));
    let mut reader = BufReader::with_capacity(BLOCK_BYTES, unpacked);
    let mut line = Vec::with_capacity(MAX_LINE_BYTES);
    loop {
        line.clear();
        let count = match read_line(&mut reader, &mut line) {
            Err(error) if is_damage(&error) => {
                search.broken_lines += 1;
                return Ok(());
            }
            count => count?,
        };
        if count == 0 {
            return Ok(());
        }
        let Some(left) = search.budget_bytes.checked_sub(count as u64) else {
            // Longer than its trailer says, which is damage too.
            search.broken_lines += 1;
            return Ok(());
        };
        search.budget_bytes = left;
        match line.strip_suffix(b"\n") {
            Some(line) => take(search, line),
            None => search.broken_lines += 1,
        }
    }
}

/// Reads up to the end of a line, or [`MAX_LINE_BYTES`] of it.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(MAX_LINE_BYTES as u64).read_until(b'\n', line)
}

fn is_damage(error: &io::Error) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    [InvalidData, InvalidInput, UnexpectedEof].contains(&error.kind())
}

/// The first line of a file; `None` if it has no whole one.
pub(crate) fn first_line(path: &Path, is_packed: bool) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let mut line = Vec::new();
    if is_packed {
        read_line(&mut BufReader::new(MultiGzDecoder::new(BufReader::new(file))), &mut line)?;
    } else {
        read_line(&mut BufReader::new(file), &mut line)?;
    }
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

/// How many bytes a compressed file has when it is not: its last four, files being below 4 GiB.
pub(crate) fn plain_bytes(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut trailer = [0; 4];
    if file.metadata()?.len() < trailer.len() as u64 {
        return Ok(0);
    }
    file.seek(SeekFrom::End(-(trailer.len() as i64)))?;
    file.read_exact(&mut trailer)?;
    Ok(u64::from(u32::from_le_bytes(trailer)))
}
