//! Deletion vectors: rows of a data file that are gone without the file being written again.
//!
//! Called by the upsert, which marks superseded rows, and by whatever reads files. The form on disk is the Delta
//! protocol's: one file holds the vectors of one commit, each a portable 64-bit roaring bitmap with size and CRC-32.

use crate::{error::LakeError, remote::Disk, syncs::Syncs};
use alluvium_model::crash_point;
use deltalake::kernel::{DeletionVectorDescriptor, StorageType};
use roaring::RoaringTreemap;
use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

const FORMAT_VERSION: u8 = 1;
/// Starts each bitmap, little-endian.
const MAGIC: u32 = 1_681_511_377;
/// Characters of a base85 UUID, the end of a descriptor's path.
const UUID_CHARS: usize = 20;

/// Rows of a file that are gone, by their number in it.
pub(crate) type Rows = RoaringTreemap;

/// Writes all vectors into one new file of the table and answers their descriptors, in order. The next commit waits until it is durable.
pub(crate) fn write(
    dir: &Path,
    id: u128,
    vectors: &[&Rows],
    syncs: &Syncs,
) -> Result<Vec<DeletionVectorDescriptor>, LakeError> {
    if vectors.is_empty() {
        return Ok(Vec::new());
    }
    let uuid = uuid_v4(id);
    let path = dir.join(file_name("", &uuid));
    let mut bytes = vec![FORMAT_VERSION];
    let mut descriptors = Vec::new();
    for rows in vectors {
        let offset = i32::try_from(bytes.len()).map_err(|_| LakeError::Worker("vectors of one commit fit 2 GiB"))?;
        let mut data = MAGIC.to_le_bytes().to_vec();
        rows.serialize_into(&mut data).map_err(LakeError::io(&path))?;
        let size = i32::try_from(data.len()).map_err(|_| LakeError::Worker("a vector fits 2 GiB"))?;
        bytes.extend(size.to_be_bytes());
        bytes.extend(&data);
        bytes.extend(crc32fast::hash(&data).to_be_bytes());
        descriptors.push(DeletionVectorDescriptor {
            storage_type: StorageType::UuidRelativePath,
            path_or_inline_dv: z85::encode(uuid),
            offset: Some(offset),
            size_in_bytes: size,
            cardinality: i64::try_from(rows.len()).unwrap_or(i64::MAX),
        });
    }
    let mut file = File::create(&path).map_err(LakeError::io(&path))?;
    file.write_all(&bytes).map_err(LakeError::io(&path))?;
    syncs.start(&file, &path)?;
    crash_point("stage.after_vectors");
    Ok(descriptors)
}

/// The rows that a descriptor names.
///
/// # Errors
/// When the vector is not there, or is damaged.
pub(crate) fn read(disk: &Disk, dir: &Path, vector: &DeletionVectorDescriptor) -> Result<Arc<Rows>, LakeError> {
    let broken = || LakeError::Vector { path: dir.to_owned(), vector: vector.path_or_inline_dv.clone() };
    let data = match vector.storage_type {
        StorageType::Inline => z85::decode(&vector.path_or_inline_dv).map_err(|_| broken())?,
        StorageType::UuidRelativePath => {
            let text = &vector.path_or_inline_dv;
            let cut = text.len().checked_sub(UUID_CHARS).filter(|c| text.is_char_boundary(*c)).ok_or_else(broken)?;
            let uuid: [u8; 16] = z85::decode(&text[cut..]).ok().and_then(|u| u.try_into().ok()).ok_or_else(broken)?;
            stored(disk, &dir.join(file_name(&text[..cut], &uuid)), vector)?.ok_or_else(broken)?
        }
        // An absolute path may lie anywhere; none of our tables has one.
        StorageType::AbsolutePath => return Err(broken()),
    };
    let bitmap = data.strip_prefix(&MAGIC.to_le_bytes()).ok_or_else(broken)?;
    let rows = RoaringTreemap::deserialize_from(bitmap).map_err(|_| broken())?;
    Ok(Arc::new(rows))
}

/// Name of the file in the table's folder that holds this descriptor's vector; `None` when it has no such file.
pub(crate) fn file_of(vector: &DeletionVectorDescriptor) -> Option<String> {
    let text = &vector.path_or_inline_dv;
    let cut = text.len().checked_sub(UUID_CHARS).filter(|c| text.is_char_boundary(*c))?;
    match vector.storage_type {
        StorageType::UuidRelativePath => {
            let uuid: [u8; 16] = z85::decode(&text[cut..]).ok()?.try_into().ok()?;
            Some(file_name(&text[..cut], &uuid))
        }
        StorageType::Inline | StorageType::AbsolutePath => None,
    }
}

/// Size, bitmap and checksum as the descriptor says, or nothing.
fn stored(disk: &Disk, path: &Path, vector: &DeletionVectorDescriptor) -> Result<Option<Vec<u8>>, LakeError> {
    let (Ok(offset), Ok(size)) = (u64::try_from(vector.offset.unwrap_or(1)), usize::try_from(vector.size_in_bytes))
    else {
        return Ok(None);
    };
    let file = disk.open(path, None)?;
    let mut bytes = vec![0; size.saturating_add(8).min(i32::MAX as usize)];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(LakeError::io(path)(e)),
    }
    let crc = bytes.split_off(4 + size);
    let data = bytes.split_off(4);
    let whole = bytes == vector.size_in_bytes.to_be_bytes() && crc == crc32fast::hash(&data).to_be_bytes();
    Ok(whole.then_some(data))
}

fn file_name(prefix: &str, uuid: &[u8; 16]) -> String {
    let hex: String = uuid.iter().map(|b| format!("{b:02x}")).collect();
    let name =
        format!("deletion_vector_{}-{}-{}-{}-{}.bin", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// Random bits as a UUID of version 4.
fn uuid_v4(random: u128) -> [u8; 16] {
    let mut bytes = random.to_be_bytes();
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_read_back_and_damage_is_seen() {
        let dir = tempfile::tempdir().expect("a folder");
        let (a, b): (Rows, Rows) = ((0..1000).step_by(3).collect(), [5, 1 << 33].into_iter().collect());
        let written = write(dir.path(), 7, &[&a, &b], &Syncs::default()).expect("writes");
        assert_eq!(*read(&Disk::default(), dir.path(), &written[0]).expect("reads"), a);
        assert_eq!(*read(&Disk::default(), dir.path(), &written[1]).expect("reads"), b);
        let path = dir.path().join(file_of(&written[1]).expect("a file"));
        let mut bytes = std::fs::read(&path).expect("reads");
        let at = usize::try_from(written[1].offset.expect("an offset")).expect("small") + 20;
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("writes");
        assert!(read(&Disk::default(), dir.path(), &written[0]).is_ok());
        assert!(matches!(read(&Disk::default(), dir.path(), &written[1]), Err(LakeError::Vector { .. })));
    }

    #[test]
    fn an_absolute_or_odd_path_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let odd = |storage_type, text: &str| DeletionVectorDescriptor {
            storage_type,
            path_or_inline_dv: text.into(),
            offset: Some(1),
            size_in_bytes: 40,
            cardinality: 1,
        };
        for d in [odd(StorageType::AbsolutePath, "/etc/passwd"), odd(StorageType::UuidRelativePath, "é")] {
            assert!(matches!(read(&Disk::default(), dir.path(), &d), Err(LakeError::Vector { .. })));
        }
    }
}
