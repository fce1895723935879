//! Posts a message to one of the cluster's queues, by the official storage library.

use std::time::Duration;

use azure_core::http::RetryOptions;
use azure_storage_queue::models::QueueMessage;
use azure_storage_queue::{QueueClient, QueueClientOptions};

use super::blob::within;
use super::resources::Storage;
use crate::http::{Attempt, Http};
use crate::transport::{self, Lent};
use crate::{Effect, Result};

/// Posts `text`, which is base64 already. The library keeps a message for seven days, as the service documents.
pub(crate) async fn post(http: &Http, queue: &Storage, text: String, timeout: Duration) -> Result<()> {
    let attempt = Attempt {
        operation: "queue a blob",
        target: queue.address.to_string(),
        effect: Effect::Unknown,
        timeout,
    };
    let failed = |error: &azure_core::Error| transport::translate(error, &attempt, &queue.address);
    let no_effect = |error: azure_core::Error| failed(&error).with_effect(Effect::None);
    let client_options = Lent::new(http.clone(), timeout).for_storage().options(RetryOptions::none());
    let options = QueueClientOptions { client_options, ..Default::default() };
    let client = QueueClient::new(queue.signed(), None, Some(options)).map_err(no_effect)?;
    let message = QueueMessage { message_text: Some(text) }.try_into().map_err(no_effect)?;
    let post = async { client.send_message(message, None).await.map_err(|error| failed(&error)) };
    within(&attempt, post).await.map(|_| ())
}
