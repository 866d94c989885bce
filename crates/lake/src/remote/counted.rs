//! Counts what really goes over the wire, so that the ledger's numbers are the object store's: each attempt of a request,
//! each page of a list, each part of an upload. A page is mended on its way.

use super::page;
use crate::meter::Meter;
use async_trait::async_trait;
use futures::StreamExt;
use object_store::{
    ClientOptions, Result,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
        ReqwestConnector,
    },
};
use std::{io, sync::Arc};

/// A page of the longest names that stores allow has less.
const MOST_PAGE_BYTES: usize = 64 << 20;

/// Makes clients that count.
#[derive(Debug)]
pub(super) struct Counted {
    inner: ReqwestConnector,
    meter: Arc<Meter>,
}

impl Counted {
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        Self { inner: ReqwestConnector::default(), meter }
    }
}

impl HttpConnector for Counted {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let client = self.inner.connect(options)?;
        Ok(HttpClient::new(Counting { client, meter: self.meter.clone() }))
    }
}

#[derive(Debug)]
struct Counting {
    client: HttpClient,
    meter: Arc<Meter>,
}

#[async_trait]
impl HttpService for Counting {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let method = request.method().as_str();
        let kind = Kind::of(method, request.uri().query().unwrap_or_default());
        // What an answer to HEAD is about stays where it is.
        let fetches = kind == Kind::Read && method != "HEAD";
        match kind {
            Kind::List => self.meter.listed_remotely(),
            Kind::Read => self.meter.read_remotely(0),
            Kind::Write => self.meter.wrote_remotely(request.body().content_length() as u64),
        }
        let response = self.client.execute(request).await?;
        if fetches && response.status().is_success() {
            let length = response.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
            self.meter.received_remotely(length.unwrap_or(0));
        }
        if kind == Kind::List && response.status().is_success() { mended(response).await } else { Ok(response) }
    }
}

async fn mended(response: HttpResponse) -> std::result::Result<HttpResponse, HttpError> {
    let (head, body) = response.into_parts();
    let (mut chunks, mut page) = (body.bytes_stream(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        page.extend_from_slice(&chunk?);
        if page.len() > MOST_PAGE_BYTES {
            return Err(HttpError::new(HttpErrorKind::Decode, io::Error::other("a page of a list has no end")));
        }
    }
    let mended = std::str::from_utf8(&page).ok().and_then(page::mended);
    let body = mended.map_or_else(|| HttpResponseBody::from(page), HttpResponseBody::from);
    Ok(HttpResponse::from_parts(head, body))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    List,
}

impl Kind {
    /// A list is a GET of the bucket, told by its parameters in all three protocols.
    fn of(method: &str, query: &str) -> Self {
        let asks = |name: &str| query.split('&').any(|p| p.starts_with(name));
        match method {
            "GET" if asks("list-type=") || asks("comp=list") || asks("delimiter=") || asks("max-keys=") => Self::List,
            "GET" | "HEAD" => Self::Read,
            _ => Self::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::client::HttpRequestBody;
    use std::sync::atomic::Ordering::Relaxed;

    /// Answers that seven bytes are there.
    #[derive(Debug)]
    struct Seven;

    #[async_trait]
    impl HttpService for Seven {
        async fn call(&self, _: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
            let mut response = HttpResponse::new(HttpResponseBody::from(String::new()));
            response.headers_mut().insert("content-length", "7".parse().expect("a value"));
            Ok(response)
        }
    }

    #[tokio::test]
    async fn only_bytes_that_come_are_counted() {
        let meter = Arc::new(Meter::of_object_store());
        let counting = Counting { client: HttpClient::new(Seven), meter: meter.clone() };
        for (method, reads, bytes) in [("GET", 1, 7), ("HEAD", 2, 7), ("GET", 3, 14)] {
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            *request.method_mut() = method.parse().expect("a method");
            counting.call(request).await.expect("an answer");
            assert_eq!((meter.reads.load(Relaxed), meter.bytes_read.load(Relaxed)), (reads, bytes), "{method}");
        }
    }

    /// Answers each request with the same page.
    #[derive(Debug)]
    struct Page(String);

    #[async_trait]
    impl HttpService for Page {
        async fn call(&self, _: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
            Ok(HttpResponse::new(HttpResponseBody::from(self.0.clone())))
        }
    }

    #[tokio::test]
    async fn a_list_is_mended_and_an_endless_one_is_refused() {
        let ask = async |page: String| {
            let client = HttpClient::new(Page(page));
            let counting = Counting { client, meter: Arc::new(Meter::of_object_store()) };
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            *request.uri_mut() = "http://s3/b?list-type=2".parse().expect("an address");
            counting.call(request).await
        };
        let text = async |page: &str| {
            let answer = ask(page.to_owned()).await.expect("an answer");
            String::from_utf8(answer.into_body().bytes().await.expect("a body").to_vec()).expect("a text")
        };
        assert_eq!(text("<Key>a/b</Key>").await, "<Key>a/b</Key>");
        assert_eq!(text("<Key>a//b</Key>").await, "<Key>\u{f8ff}a%2F%2Fb</Key>");
        assert!(ask("a".repeat(MOST_PAGE_BYTES + 1)).await.is_err());
    }

    #[test]
    fn requests_are_told_apart() {
        for (method, query, kind) in [
            ("GET", "", Kind::Read),
            ("HEAD", "", Kind::Read),
            ("GET", "list-type=2&prefix=a", Kind::List),
            ("GET", "restype=container&comp=list", Kind::List),
            ("PUT", "partNumber=1", Kind::Write),
            ("POST", "uploads", Kind::Write),
            ("DELETE", "", Kind::Write),
        ] {
            assert_eq!(Kind::of(method, query), kind, "{method} {query}");
        }
    }
}
