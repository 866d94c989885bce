//! The store of whatever place a project names.
//!
//! Called by cli. What it opens is used through [`Store`].

use crate::{PostgresStore, SqliteStore, Store, StoreError};
use alluvium_model::StatePlace;
use std::ops::Deref;

#[derive(Debug)]
pub enum StateStore {
    Sqlite(SqliteStore),
    Postgres(Box<PostgresStore>),
}

impl StateStore {
    /// Makes the state where it is missing and brings it to the newest version.
    ///
    /// # Errors
    /// As [`SqliteStore::open`] and [`PostgresStore::open`].
    pub async fn open(place: &StatePlace) -> Result<Self, StoreError> {
        Ok(match place {
            StatePlace::File(path) => Self::Sqlite(SqliteStore::open(path).await?),
            StatePlace::Postgres(url) => Self::Postgres(Box::new(PostgresStore::open(url).await?)),
        })
    }

    /// Makes and changes nothing; a state that is not there reads as empty.
    ///
    /// # Errors
    /// As [`SqliteStore::read`] and [`PostgresStore::read`].
    pub async fn read(place: &StatePlace) -> Result<Self, StoreError> {
        Ok(match place {
            StatePlace::File(path) => Self::Sqlite(SqliteStore::read(path).await?),
            StatePlace::Postgres(url) => match PostgresStore::read(url).await? {
                Some(store) => Self::Postgres(Box::new(store)),
                None => Self::Sqlite(SqliteStore::nothing().await?),
            },
        })
    }

    /// Ends the connection in order.
    ///
    /// # Errors
    /// When it cannot be ended in order; nothing that was answered is lost by that.
    pub async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

impl Deref for StateStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Sqlite(store) => store,
            Self::Postgres(store) => &**store,
        }
    }
}
