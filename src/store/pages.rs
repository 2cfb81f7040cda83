//! Lists from their first page to their last.

use super::Store;
use crate::domain::page::{Page, Paged};
use crate::error::Result;
use futures_core::Stream;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl Store {
    /// Returns all pages of a list, one after the other, beginning with the one that the query asks for. A page is
    /// read when it is asked for, and no earlier: a slow consumer reads slowly, and one that stops reads no more.
    ///
    /// [`Pages::items`] gives the rows one by one. Both types are a [`Stream`] for users of the `futures` crate,
    /// and have a `next` method for others.
    ///
    /// Each page is a snapshot of its own and continues where the page before it ended: rows that arrive meanwhile
    /// shift nothing, and removed ones leave no gap.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> botstore::Result<()> {
    /// # let store = botstore::testing::TestStore::open().await?;
    /// # use botstore::{sessions::CreateSession, users::EnsureUser};
    /// # store.write(EnsureUser::new(42, None)).await?;
    /// # store.write(CreateSession::new(42, "s-1", "/srv")).await?;
    /// use botstore::messages::{SaveMessage, SessionMessages};
    /// use botstore::page::{Order, PageRequest};
    ///
    /// for said in ["one", "two", "three"] {
    ///     store.write(SaveMessage::new(42, "s-1", said)).await?;
    /// }
    /// let told = SessionMessages::new(42, "s-1")
    ///     .order(Order::OldestFirst)
    ///     .page(PageRequest::first(2));
    ///
    /// let mut messages = store.pages(told).items();
    /// let mut prompts = Vec::new();
    /// while let Some(message) = messages.next().await {
    ///     prompts.push(message?.prompt);
    /// }
    /// assert_eq!(prompts, ["one", "two", "three"]);
    /// # Ok(()) }
    /// ```
    pub fn pages<Q: Paged>(&self, query: Q) -> Pages<Q> {
        Pages {
            store: self.clone(),
            query: Some(query),
            reading: None,
        }
    }
}

type Reading<T> = Pin<Box<dyn Future<Output = Result<Page<T>>> + Send>>;

/// The pages of a list: see [`Store::pages`]. It ends after an error; to continue, begin anew where the last page
/// ended. Once dropped, it asks for no more pages.
#[must_use = "nothing is read until it is asked for a page"]
pub struct Pages<Q: Paged> {
    store: Store,
    /// The query for the next page, if there may be one.
    query: Option<Q>,
    /// The page that is being read.
    reading: Option<Reading<Q::Item>>,
}

impl<Q: Paged> Pages<Q> {
    /// Returns the next page, or `None` after the last one. Dropping the future loses nothing: the next call
    /// returns that page.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    pub async fn next(&mut self) -> Option<Result<Page<Q::Item>>> {
        poll_fn(|context| self.poll_page(context)).await
    }

    /// Returns the rows of these pages, one by one. A page is kept until its last row was given.
    pub fn items(self) -> Items<Q> {
        Items {
            pages: self,
            rows: VecDeque::new(),
        }
    }

    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Page<Q::Item>>>> {
        let Some(query) = &mut self.query else {
            return Poll::Ready(None);
        };
        let (store, asked) = (&self.store, &*query);
        let reading = self.reading.get_or_insert_with(|| {
            let (store, query) = (store.clone(), asked.clone());
            Box::pin(async move { store.read(query).await })
        });
        let page = ready!(reading.as_mut().poll(context));
        self.reading = None;
        let next = page.as_ref().ok().and_then(|page| page.next.clone());
        match next {
            Some(next) => query.page_mut().after = Some(next),
            None => self.query = None,
        }
        Poll::Ready(Some(page))
    }
}

/// Only the future is pinned, by its box.
impl<Q: Paged> Unpin for Pages<Q> {}

impl<Q: Paged> Stream for Pages<Q> {
    type Item = Result<Page<Q::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_page(context)
    }
}

/// The rows of a list: see [`Pages::items`]. It ends after an error.
#[must_use = "nothing is read until it is asked for a row"]
pub struct Items<Q: Paged> {
    pages: Pages<Q>,
    /// The rows of the current page that are still to be given.
    rows: VecDeque<Q::Item>,
}

impl<Q: Paged> Items<Q> {
    /// Returns the next row, or `None` after the last one. Dropping the future loses nothing: the next call
    /// returns that row.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    pub async fn next(&mut self) -> Option<Result<Q::Item>> {
        poll_fn(|context| self.poll_row(context)).await
    }

    fn poll_row(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Q::Item>>> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Poll::Ready(Some(Ok(row)));
            }
            // A page may be empty: each of its rows was left out.
            match ready!(self.pages.poll_page(context)) {
                Some(Ok(page)) => self.rows = page.items.into(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Nothing of it is pinned.
impl<Q: Paged> Unpin for Items<Q> {}

impl<Q: Paged> Stream for Items<Q> {
    type Item = Result<Q::Item>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_row(context)
    }
}
