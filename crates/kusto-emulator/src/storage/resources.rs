//! Containers, queues and tables as such: made, described, listed, removed.

use super::about::{About, MAX_POLICIES, Metadata, Policy, check_name};
use super::blob::Conditions;
use super::error::{StorageError, StorageResult};
use super::sas::parse_moment;
use super::state::Record;
use super::{Place, Service, Storage};

/// A part of a list, and where the next one begins.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The first name that did not fit.
    pub(crate) next: Option<String>,
}

/// Which part of a list a request wants.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) prefix: String,
    /// The name to begin with; empty for the first part.
    pub(crate) from: String,
    pub(crate) most: usize,
}

impl Storage {
    /// Makes sure that a container, queue or table exists: the cluster's own.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub(crate) fn create(&self, place: Place, service: Service) -> StorageResult<()> {
        let about = self.new_about(Metadata::new());
        let mut state = self.lock();
        if state.about(&place, service).is_none() {
            state.commit(Record::Resource { place, service, about }, None)?;
        }
        Ok(())
    }

    /// Create Container, Create Queue, Create Table. False if a queue with equal metadata was there already.
    ///
    /// # Errors
    /// 400 for a name that is none, 409 if it exists.
    pub(crate) fn create_new(
        &self,
        place: &Place,
        service: Service,
        metadata: Metadata,
    ) -> StorageResult<bool> {
        check_name(service, &place.resource)?;
        let about = self.new_about(metadata);
        let mut state = self.lock();
        if let Some(known) = state.about(place, service) {
            let same = service == Service::Queue && known.metadata == about.metadata;
            return if same { Ok(false) } else { Err(StorageError::resource_exists(service)) };
        }
        if service == Service::Table {
            let clash = |(name, _): (&str, &About)| name.eq_ignore_ascii_case(&place.resource);
            if state.names(service, &place.account, "").any(clash) {
                return Err(StorageError::resource_exists(service));
            }
        }
        state.commit(Record::Resource { place: place.clone(), service, about }, None)?;
        Ok(true)
    }

    /// What is known of a container, queue or table.
    ///
    /// # Errors
    /// 404 if there is none.
    pub(crate) fn about(&self, place: &Place, service: Service) -> StorageResult<About> {
        self.lock().about(place, service).cloned().ok_or_else(|| StorageError::resource_not_found(service))
    }

    /// Sets metadata or policies; the version is a new one then.
    ///
    /// # Errors
    /// 404 if there is no such container, queue or table, 412 `ConditionNotMet`.
    pub(crate) fn describe(
        &self,
        place: &Place,
        service: Service,
        conditions: &Conditions,
        change: impl FnOnce(&mut About),
    ) -> StorageResult<About> {
        let mut about = self.new_about(Metadata::new());
        let mut state = self.lock();
        let known = state.about(place, service).ok_or_else(|| StorageError::resource_not_found(service))?;
        conditions.check_change(Some(known.version()))?;
        about.metadata.clone_from(&known.metadata);
        about.policies.clone_from(&known.policies);
        change(&mut about);
        let record = Record::Resource { place: place.clone(), service, about: about.clone() };
        state.commit(record, None)?;
        Ok(about)
    }

    /// Removes a container, queue or table with everything in it.
    ///
    /// # Errors
    /// 404 if there is none, 412 `ConditionNotMet`.
    pub(crate) fn delete(
        &self,
        place: &Place,
        service: Service,
        conditions: &Conditions,
    ) -> StorageResult<()> {
        let mut state = self.lock();
        let known = state.about(place, service).ok_or_else(|| StorageError::resource_not_found(service))?;
        conditions.check_change(Some(known.version()))?;
        state.commit(Record::ResourceGone { place: place.clone(), service }, None)
    }

    /// List Containers, List Queues; Query Tables without a filter.
    pub(crate) fn list(&self, service: Service, account: &str, part: &Part) -> Page<(String, About)> {
        let state = self.lock();
        let from = part.from.as_str().max(&part.prefix);
        let mut names =
            state.names(service, account, from).take_while(|(name, _)| name.starts_with(&part.prefix));
        let items =
            names.by_ref().take(part.most).map(|(name, about)| (name.to_owned(), about.clone())).collect();
        Page { items, next: names.next().map(|(name, _)| name.to_owned()) }
    }

    fn new_about(&self, metadata: Metadata) -> About {
        About { metadata, policies: Vec::new(), etag: self.new_etag(), modified: self.clock.now() }
    }
}

/// Whether stored access policies can be kept.
///
/// # Errors
/// 400 `InvalidXmlDocument` for more than five, an id that is too long or twice there, or times that are none.
pub(crate) fn check_policies(policies: &[Policy]) -> StorageResult<()> {
    let moment = |text: &str| text.is_empty() || parse_moment(text).is_some();
    let fine = |(index, policy): (usize, &Policy)| {
        let twice = policies[..index].iter().any(|other| other.id == policy.id);
        !policy.id.is_empty()
            && policy.id.chars().count() <= 64
            && !twice
            && moment(&policy.start)
            && moment(&policy.expiry)
    };
    if policies.len() <= MAX_POLICIES && policies.iter().enumerate().all(fine) {
        Ok(())
    } else {
        Err(StorageError::invalid_xml())
    }
}
