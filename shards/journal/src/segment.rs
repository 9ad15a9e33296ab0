//! Segments: their names, and how one is made ready ahead of its use, new or out of a spare file.
//!
//! A *spare* is a segment that retention took out of the journal and kept for its blocks. It is the
//! next segment once it has that one's header and name; whatever stands behind the header carries an
//! earlier number and is nobody's ([`BrokenBatch::Stale`](crate::BrokenBatch::Stale)). The header is
//! written while the file is still called a spare, so a crash at any point leaves a spare or a whole
//! segment, and one change of name cannot come back as two.

use std::io;
use std::rc::Rc;

use crate::batch::write_whole;
use crate::disk::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
use crate::error::JournalError;
use crate::format::SegmentHeader;

/// How much of a new segment one write fills with zeros, in bytes: small, because a commit may have
/// to wait behind it on the device.
pub const ZERO_FILL_BYTES: usize = 256 << 10;

const PREFIX: &str = "segment-";
const SPARE_PREFIX: &str = "spare-";
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

/// Name of the spare file that a segment becomes.
pub(crate) fn spare_name(number: u64) -> String {
    format!("{SPARE_PREFIX}{number:0NUMBER_DIGITS$}{SUFFIX}")
}

/// The number in the name of a whole segment. Names that this crate would not write are not its own.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    number_in(name, PREFIX, SUFFIX)
}

/// The number in the name of a spare: that of the last segment that it was.
pub(crate) fn spare_number(name: &str) -> Option<u64> {
    number_in(name, SPARE_PREFIX, SUFFIX)
}

/// Whether a name is that of a segment that was never finished, or of a segment or a spare that was
/// being removed.
pub(crate) fn is_unfinished(name: &str) -> bool {
    [PREFIX, SPARE_PREFIX].iter().any(|prefix| number_in(name, prefix, UNFINISHED_SUFFIX).is_some())
}

fn number_in(name: &str, prefix: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
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
    /// See [`SegmentHeader::beginning`].
    pub beginning: u64,
    /// See [`SegmentHeader::is_recycled`].
    pub is_recycled: bool,
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
    /// Whether it was made out of a spare.
    pub(crate) recycled: bool,
}

impl<D: Disk> Preparation<D> {
    /// Makes the file: zeros (or a spare file of the right length, as it is), header, sync, its name,
    /// sync of the directory. A crash at any point leaves either nothing under the final name or a
    /// whole segment.
    pub async fn run(self) -> Prepared<D> {
        match self.recycle().await {
            Ok(None) => {}
            Ok(Some(segment)) => return Prepared { result: Ok(segment), recycled: true },
            Err(failure) => return Prepared { result: Err(failure), recycled: false },
        }
        let result = self.make().await;
        if result.as_ref().is_err_and(JournalError::is_no_space) {
            // Half a segment would hold on to the very space that others must free. If this fails
            // too, the next attempt finds the file, and that error is the end.
            let _ = self.disk.remove(&unfinished_name(self.header.number)).await;
        }
        Prepared { result, recycled: false }
    }

    /// Makes the segment out of the oldest spare that fits, if there is one. Retention, in another
    /// thread, may remove a spare at any moment: one that is gone is no error.
    async fn recycle(&self) -> Result<Option<Segment<D::File>>, JournalError> {
        let listed = self.disk.list().await;
        let names = listed.map_err(|cause| JournalError::new("list", "", 0, cause))?;
        let numbers = names.iter().filter_map(|name| spare_number(name));
        // A batch of this segment or a later one in a spare would not be told from a new one.
        let mut numbers: Vec<u64> = numbers.filter(|&spare| spare < self.header.number).collect();
        numbers.sort_unstable();
        for number in numbers {
            if let Some(segment) = self.recycle_spare(&spare_name(number)).await? {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }

    async fn recycle_spare(&self, spare: &str) -> Result<Option<Segment<D::File>>, JournalError> {
        let failed = |operation, cause| JournalError::new(operation, spare, 0, cause);
        let Some(file) = unless_gone(self.disk.open(spare).await, "open", spare)? else {
            return Ok(None);
        };
        let length_bytes = file.length().await.map_err(|cause| failed("measure", cause))?;
        if length_bytes != self.header.length_bytes {
            return Ok(None);
        }
        let header = SegmentHeader { is_recycled: true, ..self.header.clone() };
        self.write_header(&header, &file, spare).await?;
        drop(file);
        let name = segment_name(self.header.number);
        let renamed = self.disk.rename(spare, &name).await;
        if unless_gone(renamed, "rename", spare)?.is_none() {
            return Ok(None);
        }
        self.open_named(name, true).await.map(Some)
    }

    async fn make(&self) -> Result<Segment<D::File>, JournalError> {
        let SegmentHeader { number, length_bytes, .. } = self.header;
        let (unfinished, name) = (unfinished_name(number), segment_name(number));
        let failed = |operation, cause| JournalError::new(operation, &unfinished, 0, cause);
        let created = self.disk.create(&unfinished, length_bytes).await;
        let file = created.map_err(|cause| failed("create", cause))?;
        fill_with_zeros(&self.disk, &file, &unfinished, 0, length_bytes).await?;
        self.write_header(&self.header, &file, &unfinished).await?;
        drop(file);
        self.disk.rename(&unfinished, &name).await.map_err(|cause| failed("rename", cause))?;
        self.open_named(name, false).await
    }

    async fn write_header(
        &self,
        header: &SegmentHeader,
        file: &D::File,
        name: &str,
    ) -> Result<(), JournalError> {
        let failed = |operation, cause| JournalError::new(operation, name, 0, cause);
        let mut block = self.disk.buffer(BLOCK_BYTES);
        header.write(block.bytes_mut());
        let (_, written) = write_whole(&self.disk, file, block, 0).await;
        written.map_err(|cause| failed("write segment header", cause))?;
        file.sync().await.map_err(|cause| failed("sync", cause))
    }

    /// Makes the name durable, and opens the file anew: as it was created it is for filling, batches
    /// go through one that was opened.
    async fn open_named(
        &self,
        name: String,
        is_recycled: bool,
    ) -> Result<Segment<D::File>, JournalError> {
        let SegmentHeader { number, length_bytes, beginning, .. } = self.header;
        let failed = |operation, cause| JournalError::new(operation, &name, 0, cause);
        let synced = self.disk.sync_directory().await;
        synced.map_err(|cause| failed("sync directory of", cause))?;
        let file = self.disk.open(&name).await.map_err(|cause| failed("open", cause))?;
        let file = Rc::new(file);
        Ok(Segment { number, name, length_bytes, beginning, is_recycled, file })
    }
}

fn unless_gone<T>(
    result: io::Result<T>,
    operation: &'static str,
    name: &str,
) -> Result<Option<T>, JournalError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(JournalError::new(operation, name, 0, cause)),
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
        assert!(is_unfinished("spare-0000000007.preparing"));
        assert!(!is_unfinished(&segment_name(7)) && !is_unfinished(&spare_name(7)));
        assert_eq!(spare_number(&spare_name(7)), Some(7));
        assert_eq!((segment_number(&spare_name(7)), spare_number(&segment_name(7))), (None, None));
    }
}
