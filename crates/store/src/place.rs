//! The store of whatever place a project names.
//!
//! Called by cli. What it opens is used through [`Store`].

use crate::{PostgresStore, SqliteStore, Store, StoreError};
use alluvium_model::StatePlace;
use std::{ops::Deref, sync::Arc};

#[derive(Debug)]
pub enum StateStore {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl StateStore {
    /// Makes the state where it is missing and brings it to the newest version.
    ///
    /// # Errors
    /// As [`SqliteStore::open`] and [`PostgresStore::open`].
    pub async fn open(place: &StatePlace) -> Result<Self, StoreError> {
        Ok(match place {
            StatePlace::File(path) => Self::Sqlite(Arc::new(SqliteStore::open(path).await?)),
            StatePlace::Postgres(url) => Self::Postgres(Arc::new(PostgresStore::open(url).await?)),
        })
    }

    /// Makes and changes nothing; a state that is not there reads as empty.
    ///
    /// # Errors
    /// As [`SqliteStore::read`] and [`PostgresStore::read`].
    pub async fn read(place: &StatePlace) -> Result<Self, StoreError> {
        Ok(match place {
            StatePlace::File(path) => Self::Sqlite(Arc::new(SqliteStore::read(path).await?)),
            StatePlace::Postgres(url) => match PostgresStore::read(url).await? {
                Some(store) => Self::Postgres(Arc::new(store)),
                None => Self::Sqlite(Arc::new(SqliteStore::nothing().await?)),
            },
        })
    }

    /// For those that outlive a borrow.
    pub fn shared(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// Ends the connection in order; whoever shares it ends it with its own end.
    ///
    /// # Errors
    /// When it cannot be ended in order; nothing that was answered is lost by that.
    pub async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => match Arc::into_inner(store) {
                Some(store) => store.close().await,
                None => Ok(()),
            },
            Self::Postgres(store) => match Arc::into_inner(store) {
                Some(store) => store.close().await,
                None => Ok(()),
            },
        }
    }
}

impl Deref for StateStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Sqlite(store) => store.as_ref(),
            Self::Postgres(store) => store.as_ref(),
        }
    }
}
