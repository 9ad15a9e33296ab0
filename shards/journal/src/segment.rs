//! Segments: their names, and how one is made ready ahead of its use.

use std::rc::Rc;

use crate::batch::write_whole;
use crate::disk::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
use crate::error::JournalError;
use crate::format::SegmentHeader;

/// How much of a new segment one write fills with zeros, in bytes: small, because a commit may have
/// to wait behind it on the device.
pub const ZERO_FILL_BYTES: usize = 256 << 10;

const PREFIX: &str = "segment-";
const SUFFIX: &str = ".ringbook";
const UNFINISHED_SUFFIX: &str = ".preparing";
const NUMBER_DIGITS: usize = 10;

/// The number of the first segment of a journal.
pub(crate) const FIRST_NUMBER: u64 = 1;

/// Name of a segment that is whole.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{PREFIX}{number:0NUMBER_DIGITS$}{SUFFIX}")
}

/// Name of a segment that is being made.
pub(crate) fn unfinished_name(number: u64) -> String {
    format!("{PREFIX}{number:0NUMBER_DIGITS$}{UNFINISHED_SUFFIX}")
}

/// The number in the name of a whole segment. Names that this crate would not write are not its own.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    number_in(name, SUFFIX)
}

/// Whether a name is that of a segment that was never finished.
pub(crate) fn is_unfinished(name: &str) -> bool {
    number_in(name, UNFINISHED_SUFFIX).is_some()
}

fn number_in(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(suffix)?;
    let all_digits = digits.len() >= NUMBER_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| all_digits)?;
    // A second spelling of the same number would make two files one segment.
    (digits == format!("{number:0NUMBER_DIGITS$}") && number >= FIRST_NUMBER).then_some(number)
}

/// A whole segment, open.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    pub number: u64,
    pub name: String,
    pub length_bytes: u64,
    pub file: Rc<F>,
}

/// The making of the next segment, to be run without holding the journal:
/// [`Preparation::run`], then [`Journal::complete_preparation`](crate::Journal::complete_preparation).
#[must_use = "a preparation that is taken and not run leaves the journal without a next segment"]
pub struct Preparation<D: Disk> {
    pub(crate) disk: D,
    pub(crate) header: SegmentHeader,
}

/// How a preparation went, for [`Journal::complete_preparation`](crate::Journal::complete_preparation).
#[must_use = "give it to Journal::complete_preparation"]
pub struct Prepared<D: Disk> {
    pub(crate) result: Result<Segment<D::File>, JournalError>,
}

impl<D: Disk> Preparation<D> {
    /// Makes the file: zeros, header, sync, its name, sync of the directory. A crash at any point
    /// leaves either nothing under the final name or a whole segment.
    pub async fn run(self) -> Prepared<D> {
        let result = self.make().await;
        if result.as_ref().is_err_and(JournalError::is_no_space) {
            // Half a segment would hold on to the very space that others must free. If this fails
            // too, the next attempt finds the file, and that error is the end.
            let _ = self.disk.remove(&unfinished_name(self.header.number)).await;
        }
        Prepared { result }
    }

    async fn make(&self) -> Result<Segment<D::File>, JournalError> {
        let SegmentHeader { number, length_bytes, .. } = self.header;
        let (unfinished, name) = (unfinished_name(number), segment_name(number));
        let failed = |operation, cause| JournalError::new(operation, &unfinished, 0, cause);
        let created = self.disk.create(&unfinished, length_bytes).await;
        let file = created.map_err(|cause| failed("create", cause))?;
        fill_with_zeros(&self.disk, &file, &unfinished, 0, length_bytes).await?;
        let mut block = self.disk.buffer(BLOCK_BYTES);
        self.header.write(block.bytes_mut());
        let (_, written) = write_whole(&self.disk, &file, block, 0).await;
        written.map_err(|cause| failed("write segment header", cause))?;
        file.sync().await.map_err(|cause| failed("sync", cause))?;
        drop(file);
        self.disk.rename(&unfinished, &name).await.map_err(|cause| failed("rename", cause))?;
        let synced = self.disk.sync_directory().await;
        synced.map_err(|cause| failed("sync directory of", cause))?;
        // The file as it was created is for filling; batches go through one that was opened.
        let opened = self.disk.open(&name).await;
        let file = opened.map_err(|cause| JournalError::new("open", &name, 0, cause))?;
        Ok(Segment { number, name, length_bytes, file: Rc::new(file) })
    }
}

/// Writes zeros from `start` to `end`, block aligned.
pub(crate) async fn fill_with_zeros<D: Disk>(
    disk: &D,
    file: &D::File,
    name: &str,
    start: u64,
    end: u64,
) -> Result<(), JournalError> {
    let mut offset = start;
    let mut spare = None;
    while offset < end {
        let length = (end - offset).min(ZERO_FILL_BYTES as u64) as usize;
        let buffer = spare
            .take()
            .filter(|buffer: &D::Buffer| buffer.bytes().len() == length)
            .unwrap_or_else(|| disk.buffer(length));
        let (buffer, written) = write_whole(disk, file, buffer, offset).await;
        written.map_err(|cause| JournalError::new("fill with zeros", name, offset, cause))?;
        spare = Some(buffer);
        offset += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_this_crate_would_not_write_is_no_segment() {
        assert_eq!(segment_name(7), "segment-0000000007.ringbook");
        assert_eq!(segment_number("segment-0000000007.ringbook"), Some(7));
        assert_eq!(segment_number(&segment_name(12_345_678_901)), Some(12_345_678_901));
        for name in [
            "segment-7.ringbook",
            "segment-00000000007.ringbook",
            "segment-0000000000.ringbook",
            "segment-0000000007.preparing",
            "segment-+000000007.ringbook",
            "segment-99999999999999999999999.ringbook",
            "snapshot-0000000007.ringbook",
        ] {
            assert_eq!(segment_number(name), None, "{name}");
        }
        assert!(is_unfinished(&unfinished_name(7)));
    }
}
