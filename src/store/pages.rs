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
    /// All pages of a list, one after the other, from the one that the query asks for. The next is asked for when it
    /// is wanted, and no earlier: who is slow reads slowly, and who stops has read no more.
    ///
    /// [`Pages::items`] gives their rows one by one. Both are a [`Stream`], for whoever has the `futures` crate, and
    /// have a `next` of their own for whoever has not.
    ///
    /// Each page is a snapshot of its own, in which the list goes on where the page before ended: so rows that arrive
    /// in between shift nothing, and those that go leave no gap.
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

/// The pages of a list: see [`Store::pages`]. An error is the last thing that it gives; whoever wants to go on begins
/// anew where the last page ended. Dropped, it asks for nothing any more.
#[must_use = "nothing is read until it is asked for a page"]
pub struct Pages<Q: Paged> {
    store: Store,
    /// What asks for the next page, if there may be one.
    query: Option<Q>,
    /// The page that has been asked for.
    reading: Option<Reading<Q::Item>>,
}

impl<Q: Paged> Pages<Q> {
    /// The next page; `None` after the last one. Dropping the future loses nothing: the page is the next call's.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    pub async fn next(&mut self) -> Option<Result<Page<Q::Item>>> {
        poll_fn(|context| self.poll_page(context)).await
    }

    /// The rows of these pages, one by one. A page is kept until its last row was given.
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

/// Nothing of it is pinned but the future, by its box.
impl<Q: Paged> Unpin for Pages<Q> {}

impl<Q: Paged> Stream for Pages<Q> {
    type Item = Result<Page<Q::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_page(context)
    }
}

/// The rows of a list: see [`Pages::items`]. An error is the last thing that it gives.
#[must_use = "nothing is read until it is asked for a row"]
pub struct Items<Q: Paged> {
    pages: Pages<Q>,
    /// Those of the last page that are still to be given.
    rows: VecDeque<Q::Item>,
}

impl<Q: Paged> Items<Q> {
    /// The next row; `None` after the last one. Dropping the future loses nothing: the row is the next call's.
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
            // A page may have none: each of its rows was left out.
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
