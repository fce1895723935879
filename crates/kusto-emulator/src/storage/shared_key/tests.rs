use axum::http::HeaderValue;

use super::*;
use crate::storage::access::Target;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

fn text(
    service: Service,
    scheme: Scheme,
    path: &str,
    query: &str,
    given: &[(&'static str, &'static str)],
) -> String {
    let headers = headers(given);
    let query = Query::parse(query);
    let signed = Signed { method: &Method::GET, path, query: &query, headers: &headers };
    signed.text(scheme, Target { service, account: "myaccount", resource: "mycontainer", item: None })
}

/// The example of the page "Authorize with Shared Key" names these lines for Get Container Metadata.
#[test]
fn the_signed_text_of_blob_storage_is_the_documented_one() {
    let given = [("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"), ("x-ms-version", "2015-02-21")];
    assert_eq!(
        text(
            Service::Blob,
            Scheme::Full,
            "/mycontainer",
            "comp=metadata&restype=container&timeout=20",
            &given
        ),
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
         /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    );
}

#[test]
fn lite_signs_fewer_headers_and_of_the_query_only_comp() {
    let given = [("x-ms-date", "D"), ("content-type", "text/plain"), ("range", "bytes=0-1")];
    assert_eq!(
        text(Service::Queue, Scheme::Lite, "/myaccount/q", "comp=metadata&timeout=20", &given),
        "GET\n\ntext/plain\n\nx-ms-date:D\n/myaccount/myaccount/q?comp=metadata"
    );
}

#[test]
fn table_storage_signs_the_date_and_the_path() {
    let given = [("x-ms-date", "D"), ("content-type", "application/json")];
    assert_eq!(
        text(Service::Table, Scheme::Full, "/myaccount/T()", "$top=1", &given),
        "GET\n\napplication/json\nD\n/myaccount/myaccount/T()"
    );
    assert_eq!(
        text(Service::Table, Scheme::Lite, "/myaccount/T()", "$top=1", &given),
        "D\n/myaccount/myaccount/T()"
    );
}

#[test]
fn values_of_one_query_name_are_sorted_and_an_empty_body_has_no_length_since_2015() {
    let given = [("x-ms-version", "2020-04-08"), ("content-length", "0"), ("date", "D")];
    assert_eq!(
        text(Service::Blob, Scheme::Full, "/a/b%20c", "include=b&Include=a&comp=list", &given),
        "GET\n\n\n\n\n\nD\n\n\n\n\n\nx-ms-version:2020-04-08\n/myaccount/a/b%20c\ncomp:list\ninclude:a,b"
    );
    let given = [("x-ms-version", "2014-02-14"), ("content-length", "0"), ("date", "D")];
    assert!(text(Service::Blob, Scheme::Full, "/a", "", &given).starts_with("GET\n\n\n0\n"));
}
