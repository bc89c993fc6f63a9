//! One SQLite file: opened, brought to this version's schema, and written in transactions that are
//! all or nothing. Knows nothing of what is stored.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use evenkeel_ports::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::fault::{Fault, io_error};

/// What a committed transaction survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A power cut.
    PowerCut,
    /// A crash of the process; a power cut may cost the last transactions, never the file.
    Crash,
}

/// One open file.
#[derive(Debug)]
pub(crate) struct Database {
    /// The connection, for reading; writing goes through [`Database::write`].
    pub(crate) connection: Connection,
    /// The file's path, for errors.
    pub(crate) file: String,
}

/// More than there are distinct statements in this crate, so that each is prepared once.
const STATEMENTS_CACHED: usize = 96;

impl Database {
    /// Opens or creates `path`. Each of `migrations` is run once, in order, in a transaction of its
    /// own; how many were run is the schema's version.
    pub(crate) fn open(
        path: &Path,
        migrations: &[&str],
        durability: Durability,
    ) -> Result<Self, StoreError> {
        let file = path.display().to_string();
        create_private(path).map_err(|error| io_error(path, &error))?;
        let connection =
            Connection::open(path).map_err(|error| Fault::from(error).into_store_error(&file))?;
        let mut database = Self { connection, file };
        database
            .prepare(migrations, durability)
            .map_err(|fault| fault.into_store_error(&database.file))?;
        let found = database.version().map_err(|e| database.tell(e))?;
        let known = migrations.len() as u64;
        if found > known {
            return Err(StoreError::Newer {
                place: database.file,
                found,
                known,
            });
        }
        Ok(database)
    }

    fn prepare(&mut self, migrations: &[&str], durability: Durability) -> Result<(), Fault> {
        let synchronous = match durability {
            Durability::PowerCut => "FULL",
            Durability::Crash => "NORMAL",
        };
        self.connection
            .set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        // `auto_vacuum` only takes effect on a file that has no tables yet.
        self.connection.execute_batch(&format!(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = {synchronous};
             PRAGMA journal_size_limit = 16777216;
             PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;"
        ))?;
        let done = usize::try_from(self.version()?).unwrap_or(usize::MAX);
        for (migration, number) in migrations.iter().zip(1_u64..).skip(done) {
            self.write(|transaction| {
                transaction.execute_batch(migration)?;
                transaction.execute_batch(&format!("PRAGMA user_version = {number}"))?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn version(&self) -> Result<u64, Fault> {
        let version: i64 = self
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))?;
        // SQLite keeps 32 bits; a negative number was written by nobody we know.
        Ok(u64::try_from(version).unwrap_or(u64::MAX))
    }

    /// Reads the whole file for contradictions.
    pub(crate) fn quick_check(&self) -> Result<(), StoreError> {
        let found: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| self.tell(error.into()))?;
        if found == "ok" {
            return Ok(());
        }
        Err(StoreError::Damaged {
            place: self.file.clone(),
            what: found,
        })
    }

    /// Runs `change` in a transaction, which is rolled back unless `change` returns `Ok`.
    pub(crate) fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcome = change(&transaction)?;
        transaction.commit()?;
        Ok(outcome)
    }

    /// A fault as this file's error.
    pub(crate) fn tell(&self, fault: Fault) -> StoreError {
        fault.into_store_error(&self.file)
    }

    /// Moves the log into the file, so that a copy of the file alone is a backup.
    pub(crate) fn close(&self) {
        let checkpoint = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::warn!(file = %self.file, %error, "the write-ahead log was not folded in; the next start does it");
        }
    }
}

/// Makes the file, if it is not there, readable by its owner alone: keys and baselines are in it.
/// SQLite gives the files that it makes beside it the same permissions.
fn create_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nobody_else_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let _database = open(&path, &[FIRST]).unwrap();
        for name in ["x.db", "x.db-wal", "x.db-shm"] {
            let mode = std::fs::metadata(dir.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{name}");
        }
    }

    const FIRST: &str = "CREATE TABLE one(x INTEGER)";
    const SECOND: &str = "ALTER TABLE one ADD COLUMN y INTEGER";

    fn open(path: &Path, migrations: &[&str]) -> Result<Database, StoreError> {
        Database::open(path, migrations, Durability::PowerCut)
    }

    #[test]
    fn migrations_run_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        drop(open(&path, &[FIRST]).unwrap());
        drop(open(&path, &[FIRST, SECOND]).unwrap());
        let database = open(&path, &[FIRST, SECOND]).unwrap();
        database
            .connection
            .execute("INSERT INTO one(x, y) VALUES (1, 2)", [])
            .unwrap();
        database.quick_check().unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        drop(open(&path, &[FIRST, SECOND]).unwrap());
        let error = open(&path, &[FIRST]).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_no_database_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        let error = open(&path, &[FIRST]).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_full_file_is_no_space_and_nothing_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = open(&dir.path().join("x.db"), &["CREATE TABLE one(x BLOB)"]).unwrap();
        database
            .connection
            .query_row("PRAGMA max_page_count = 8", [], |_| Ok(()))
            .unwrap();
        let fault = database
            .write(|transaction| {
                transaction.execute("INSERT INTO one VALUES (zeroblob(10))", [])?;
                transaction.execute("INSERT INTO one VALUES (zeroblob(100000))", [])?;
                Ok(())
            })
            .unwrap_err();
        assert!(matches!(database.tell(fault), StoreError::NoSpace { .. }));
        let rows: i64 = database
            .connection
            .query_row("SELECT count(*) FROM one", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0);
    }
}
