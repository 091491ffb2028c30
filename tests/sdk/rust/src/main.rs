//! Every operation of this version through the AWS SDK for Rust, checked: `trilith-sdk-rust ENDPOINT TABLE`.
//!
//! The SDK of this version has no bulk operations, and keeps the streams service in another package: neither is called.
//!
//! Prints `ok OPERATION` or `failed OPERATION what was wrong` for each, and ends with 1 when one failed. The steps are
//! those of operations.json, written out, because the SDK's typed builders are what is tested.

use std::collections::HashMap;
use std::fmt::Debug;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, BillingMode,
    ConditionCheck, DeleteRequest, Get, KeySchemaElement, KeyType, KeysAndAttributes, ParameterizedStatement,
    Put, PutRequest, ReturnValue, ScalarAttributeType, TableStatus, Tag, TransactGetItem, TransactWriteItem,
    WriteRequest,
};

type Item = HashMap<String, AttributeValue>;
type Checked = Result<(), String>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(endpoint), Some(table)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: trilith-sdk-rust ENDPOINT TABLE");
        std::process::exit(2);
    };
    let run = Run { client: client(&endpoint), table };
    std::process::exit(i32::from(!run.all().await));
}

/// A client without TLS, retries or a look at the machine's own AWS settings.
fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

struct Run {
    client: Client,
    table: String,
}

impl Run {
    /// Runs every step in order and prints how each went.
    async fn all(&self) -> bool {
        let mut fine = true;
        let mut tell = |operation: &str, result: Checked| match result {
            Ok(()) => println!("ok {operation}"),
            Err(wrong) => {
                println!("failed {operation} {}", wrong.replace('\n', " "));
                fine = false;
            }
        };
        tell("CreateTable", self.create_table().await);
        let arn = self.describe_table().await;
        let known = arn.clone().unwrap_or_default();
        tell("DescribeTable", arn.map(drop));
        tell("ListTables", self.list_tables().await);
        tell("PutItem", self.put_item().await);
        tell("GetItem", self.get_item().await);
        tell("PutItem", self.put_item_on_condition().await);
        tell("UpdateItem", self.update_item().await);
        tell("BatchWriteItem", self.batch_write_item().await);
        tell("BatchGetItem", self.batch_get_item().await);
        tell("Query", self.query().await);
        tell("Scan", self.scan().await);
        tell("SearchVectors", self.search_vectors().await);
        tell("ExecuteStatement", self.execute_statement().await);
        tell("BatchExecuteStatement", self.batch_execute_statement().await);
        tell("TransactWriteItems", self.transact_write().await);
        tell("TransactGetItems", self.transact_get().await);
        tell("ExecuteTransaction", self.execute_transaction().await);
        tell("DeleteItem", self.delete_item().await);
        tell("TagResource", self.tag_resource(&known).await);
        tell("ListTagsOfResource", self.list_tags(&known, 2).await);
        tell("UntagResource", self.untag_resource(&known).await);
        tell("ListTagsOfResource", self.list_tags(&known, 1).await);
        tell("DescribeLimits", self.describe_limits().await);
        tell("DescribeEndpoints", self.describe_endpoints().await);
        tell("DescribeTimeToLive", self.describe_time_to_live().await);
        tell("DescribeContinuousBackups", self.describe_continuous_backups().await);
        tell("ListBackups", self.list_backups().await);
        tell("DescribeContributorInsights", self.describe_contributor_insights().await);
        tell("DescribeKinesisStreamingDestination", self.describe_kinesis().await);
        tell("ListContributorInsights", self.list_contributor_insights().await);
        tell("DescribeTableReplicaAutoScaling", self.describe_auto_scaling().await);
        tell("ListGlobalTables", self.list_global_tables().await);
        tell("ListExports", self.list_exports(&known).await);
        tell("ListImports", self.list_imports(&known).await);
        tell("GetResourcePolicy", self.get_resource_policy(&known).await);
        tell("DescribeBackup", self.describe_backup(&known).await);
        tell("DescribeExport", self.describe_export(&known).await);
        tell("DescribeImport", self.describe_import(&known).await);
        tell("DescribeGlobalTable", self.describe_global_table().await);
        tell("DescribeGlobalTableSettings", self.describe_global_table_settings().await);
        tell("UpdateTable", self.update_table().await);
        tell("DeleteTable", self.delete_table().await);
        fine
    }

    async fn create_table(&self) -> Checked {
        let answer = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range))
            .attribute_definitions(attribute("pk", ScalarAttributeType::S))
            .attribute_definitions(attribute("sk", ScalarAttributeType::N))
            .send()
            .await
            .map_err(told)?;
        let description = answer.table_description.ok_or("no description")?;
        same(description.table_status, Some(TableStatus::Creating))
    }

    async fn describe_table(&self) -> Result<String, String> {
        let answer = self.client.describe_table().table_name(&self.table).send().await.map_err(told)?;
        let table = answer.table.ok_or("no table")?;
        same(table.table_status, Some(TableStatus::Active))?;
        table.table_arn.ok_or_else(|| "no ARN".to_owned())
    }

    async fn list_tables(&self) -> Checked {
        let answer = self.client.list_tables().limit(100).send().await.map_err(told)?;
        same(answer.table_names().contains(&self.table), true)
    }

    async fn put_item(&self) -> Checked {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(every_type()));
        same(put.send().await.map_err(told)?.attributes, None)
    }

    async fn get_item(&self) -> Checked {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let answer = get.clone().set_key(Some(place("a", "1"))).send().await.map_err(told)?;
        same(answer.item, Some(every_type()))?;
        let none = get.set_key(Some(place("none", "1"))).send().await.map_err(told)?;
        same(none.item, None)
    }

    async fn put_item_on_condition(&self) -> Checked {
        let mut item = place("a", "1");
        item.insert("v".to_owned(), n("2"));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let refused = put.clone().condition_expression("attribute_not_exists(pk)").send().await;
        match refused {
            Ok(_) => return Err("a false condition let a put through".to_owned()),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {}
            Err(error) => return Err(told(error)),
        }
        let answer = put
            .condition_expression("#n = :n")
            .expression_attribute_names("#n", "n")
            .expression_attribute_values(":n", n("-12.50"))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(told)?;
        same(answer.attributes, Some(every_type()))
    }

    async fn update_item(&self) -> Checked {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(place("a", "1")))
            .update_expression("SET v = v + :d, w = :w ADD tags :t")
            .condition_expression("v < :max")
            .expression_attribute_values(":d", n("40"))
            .expression_attribute_values(":w", s("new"))
            .expression_attribute_values(":t", AttributeValue::Ss(vec!["p".to_owned()]))
            .expression_attribute_values(":max", n("100"))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(told)?;
        let tags = AttributeValue::Ss(vec!["p".to_owned()]);
        same(answer.attributes, Some(item([("v", n("42")), ("w", s("new")), ("tags", tags)])))
    }

    async fn batch_write_item(&self) -> Checked {
        let put = |sort: &str, color: &str| {
            let mut item = place("q", sort);
            item.insert("c".to_owned(), s(color));
            WriteRequest::builder()
                .put_request(PutRequest::builder().set_item(Some(item)).build().expect("item is set"))
                .build()
        };
        let delete = DeleteRequest::builder().set_key(Some(place("never", "0"))).build().expect("key is set");
        let requests = vec![
            put("10", "red"),
            put("9", "blue"),
            put("-1", "red"),
            WriteRequest::builder().delete_request(delete).build(),
        ];
        let answer =
            self.client.batch_write_item().request_items(&self.table, requests).send().await.map_err(told)?;
        same(answer.unprocessed_items.unwrap_or_default().len(), 0)
    }

    async fn batch_get_item(&self) -> Checked {
        let keys = KeysAndAttributes::builder()
            .keys(place("q", "9"))
            .keys(place("none", "0"))
            .consistent_read(true)
            .build()
            .map_err(|error| error.to_string())?;
        let answer =
            self.client.batch_get_item().request_items(&self.table, keys).send().await.map_err(told)?;
        let found = answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default();
        let mut wanted = place("q", "9");
        wanted.insert("c".to_owned(), s("blue"));
        same(found, vec![wanted])?;
        same(answer.unprocessed_keys.unwrap_or_default().len(), 0)
    }

    async fn query(&self) -> Checked {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :p")
            .expression_attribute_values(":p", s("q"))
            .projection_expression("sk")
            .consistent_read(true);
        let page = query.clone().limit(2).send().await.map_err(told)?;
        same(page.items, Some(vec![item([("sk", n("-1"))]), item([("sk", n("9"))])]))?;
        same(page.last_evaluated_key.clone(), Some(place("q", "9")))?;
        let rest =
            query.clone().set_exclusive_start_key(page.last_evaluated_key).send().await.map_err(told)?;
        same((rest.items, rest.last_evaluated_key), (Some(vec![item([("sk", n("10"))])]), None))?;
        let red = query
            .filter_expression("c = :c")
            .expression_attribute_values(":c", s("red"))
            .scan_index_forward(false)
            .send()
            .await
            .map_err(told)?;
        same((red.count, red.scanned_count), (2, 3))?;
        same(red.items, Some(vec![item([("sk", n("10"))]), item([("sk", n("-1"))])]))
    }

    async fn scan(&self) -> Checked {
        let scan = self.client.scan().table_name(&self.table).consistent_read(true);
        let page = scan
            .clone()
            .filter_expression("begins_with(pk, :p)")
            .expression_attribute_values(":p", s("q"))
            .send()
            .await
            .map_err(told)?;
        same((page.count, page.scanned_count), (3, 4))?;
        let mut seen = 0;
        for segment in 0..3 {
            seen += scan.clone().segment(segment).total_segments(3).send().await.map_err(told)?.count;
        }
        same(seen, 4)
    }

    /// The table has no vector index: the request is understood, and that is the answer.
    async fn search_vectors(&self) -> Checked {
        let call = self.client.search_vectors().table_name(&self.table).index_name("near").top_k(1);
        match call.search_vector(n("1")).search_vector(n("0.5")).send().await {
            Ok(found) => Err(format!("an index that is not there was searched: {found:?}")),
            Err(error) => same(error.code(), Some("ValidationException")),
        }
    }

    async fn execute_statement(&self) -> Checked {
        let call = self
            .client
            .execute_statement()
            .statement(format!("SELECT c FROM \"{}\" WHERE pk = ? AND sk < ?", self.table))
            .parameters(s("q"))
            .parameters(n("10"))
            .consistent_read(true);
        let wanted = vec![item([("c", s("red"))]), item([("c", s("blue"))])];
        same(call.send().await.map_err(told)?.items, Some(wanted))
    }

    async fn transact_write(&self) -> Checked {
        let put = |pk: &str| {
            let put = Put::builder().table_name(&self.table).set_item(Some(place(pk, "1")));
            put.build()
                .map(|put| TransactWriteItem::builder().put(put).build())
                .map_err(|error| error.to_string())
        };
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(place("q", "9")))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| error.to_string())?;
        let check = TransactWriteItem::builder().condition_check(check).build();
        let refused =
            self.client.transact_write_items().transact_items(put("t")?).transact_items(check).send().await;
        let refused =
            refused.err().and_then(|error| error.into_service_error().meta().code().map(str::to_owned));
        same(refused.as_deref(), Some("TransactionCanceledException"))?;
        let both = self.client.transact_write_items().transact_items(put("t")?).transact_items(put("u")?);
        both.send().await.map(drop).map_err(told)
    }

    async fn transact_get(&self) -> Checked {
        let get = |pk: &str| {
            let get = Get::builder().table_name(&self.table).set_key(Some(place(pk, "1"))).build();
            get.map(|get| TransactGetItem::builder().get(get).build()).map_err(|error| error.to_string())
        };
        let call = self.client.transact_get_items().transact_items(get("t")?).transact_items(get("none")?);
        let found = call.send().await.map_err(told)?.responses.unwrap_or_default();
        let items: Vec<_> = found.into_iter().map(|one| one.item).collect();
        same(items, vec![Some(place("t", "1")), None])
    }

    async fn execute_transaction(&self) -> Checked {
        let run = async |statements: [String; 2]| {
            let mut call = self.client.execute_transaction();
            for text in statements {
                let statement = ParameterizedStatement::builder().statement(text).build();
                call = call.transact_statements(statement.map_err(|error| error.to_string())?);
            }
            let found = call.send().await.map_err(told)?.responses.unwrap_or_default();
            Ok::<_, String>(found.into_iter().map(|one| one.item).collect::<Vec<_>>())
        };
        let table = &self.table;
        let exists = |sk: &str| {
            format!("EXISTS(SELECT * FROM \"{table}\" WHERE pk = 'q' AND sk = {sk} AND attribute_exists(c))")
        };
        let insert = format!("INSERT INTO \"{table}\" VALUE {{'pk': 'e', 'sk': 1}}");
        same(run([exists("9"), insert]).await?, vec![])?;
        let select = |sk: &str| format!("SELECT * FROM \"{table}\" WHERE pk = 'e' AND sk = {sk}");
        same(run([select("1"), select("2")]).await?, vec![Some(place("e", "1")), None])?;
        let delete = format!("DELETE FROM \"{table}\" WHERE pk = 'e' AND sk = 1");
        same(run([exists("9"), delete]).await?, vec![])
    }

    async fn batch_execute_statement(&self) -> Checked {
        let update = BatchStatementRequest::builder().statement(format!(
            "UPDATE \"{}\" SET c = 'green' WHERE pk = 'q' AND sk = 9 RETURNING ALL OLD *",
            self.table
        ));
        let insert = BatchStatementRequest::builder()
            .statement(format!("INSERT INTO \"{}\" VALUE {{'pk': 'q', 'sk': ?}}", self.table))
            .parameters(n("10"));
        let call = self
            .client
            .batch_execute_statement()
            .statements(update.build().map_err(|error| error.to_string())?)
            .statements(insert.build().map_err(|error| error.to_string())?);
        let answer = call.send().await.map_err(told)?;
        let [updated, inserted] = answer.responses() else {
            return Err(format!("two responses wanted, found {:?}", answer.responses));
        };
        let mut old = place("q", "9");
        old.insert("c".to_owned(), s("blue"));
        same(updated.item.clone(), Some(old))?;
        let code = inserted.error.as_ref().and_then(|error| error.code.clone());
        same(code, Some(BatchStatementErrorCodeEnum::DuplicateItem))
    }

    async fn delete_item(&self) -> Checked {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(place("a", "1")));
        let answer = delete.clone().return_values(ReturnValue::AllOld).send().await.map_err(told)?;
        same(answer.attributes.and_then(|mut old| old.remove("v")), Some(n("42")))?;
        let again = delete.return_values(ReturnValue::AllOld).send().await.map_err(told)?;
        same(again.attributes, None)
    }

    async fn tag_resource(&self, arn: &str) -> Checked {
        let tag = |key: &str, value: &str| {
            Tag::builder().key(key).value(value).build().expect("key and value are set")
        };
        let request = self
            .client
            .tag_resource()
            .resource_arn(arn)
            .tags(tag("team", "spine"))
            .tags(tag("stage", "test"));
        request.send().await.map(drop).map_err(told)
    }

    async fn list_tags(&self, arn: &str, wanted: usize) -> Checked {
        let answer = self.client.list_tags_of_resource().resource_arn(arn).send().await.map_err(told)?;
        same(answer.tags().len(), wanted)
    }

    async fn untag_resource(&self, arn: &str) -> Checked {
        self.client.untag_resource().resource_arn(arn).tag_keys("stage").send().await.map(drop).map_err(told)
    }

    async fn describe_limits(&self) -> Checked {
        let answer = self.client.describe_limits().send().await.map_err(told)?;
        same(answer.table_max_read_capacity_units, Some(40_000))
    }

    async fn describe_endpoints(&self) -> Checked {
        let answer = self.client.describe_endpoints().send().await.map_err(told)?;
        same(answer.endpoints().len(), 1)
    }

    async fn describe_time_to_live(&self) -> Checked {
        let answer =
            self.client.describe_time_to_live().table_name(&self.table).send().await.map_err(told)?;
        let status = answer.time_to_live_description.and_then(|one| one.time_to_live_status);
        same(status.map(|one| one.as_str().to_owned()), Some("DISABLED".to_owned()))
    }

    async fn describe_continuous_backups(&self) -> Checked {
        let answer =
            self.client.describe_continuous_backups().table_name(&self.table).send().await.map_err(told)?;
        let status = answer
            .continuous_backups_description
            .map(|one| one.continuous_backups_status.as_str().to_owned());
        same(status, Some("ENABLED".to_owned()))
    }

    async fn list_backups(&self) -> Checked {
        same(self.client.list_backups().send().await.map_err(told)?.backup_summaries().len(), 0)
    }

    async fn describe_contributor_insights(&self) -> Checked {
        let answer =
            self.client.describe_contributor_insights().table_name(&self.table).send().await.map_err(told)?;
        let status = answer.contributor_insights_status.map(|one| one.as_str().to_owned());
        same(status, Some("DISABLED".to_owned()))
    }

    async fn describe_kinesis(&self) -> Checked {
        let call = self.client.describe_kinesis_streaming_destination().table_name(&self.table);
        same(call.send().await.map_err(told)?.kinesis_data_stream_destinations().len(), 0)
    }

    async fn list_contributor_insights(&self) -> Checked {
        let answer = self.client.list_contributor_insights().send().await.map_err(told)?;
        same(answer.contributor_insights_summaries().len(), 0)
    }

    async fn describe_auto_scaling(&self) -> Checked {
        let call = self.client.describe_table_replica_auto_scaling().table_name(&self.table);
        let table =
            call.send().await.map_err(told)?.table_auto_scaling_description.ok_or("no description")?;
        same(table.table_name.as_deref(), Some(self.table.as_str()))?;
        same(table.replicas().len(), 0)
    }

    async fn list_global_tables(&self) -> Checked {
        same(self.client.list_global_tables().send().await.map_err(told)?.global_tables().len(), 0)
    }

    async fn list_exports(&self, arn: &str) -> Checked {
        let answer = self.client.list_exports().table_arn(arn).send().await.map_err(told)?;
        same(answer.export_summaries().len(), 0)
    }

    async fn list_imports(&self, arn: &str) -> Checked {
        let answer = self.client.list_imports().table_arn(arn).send().await.map_err(told)?;
        same(answer.import_summary_list().len(), 0)
    }

    async fn get_resource_policy(&self, arn: &str) -> Checked {
        let answer = self.client.get_resource_policy().resource_arn(arn).send().await;
        refused(answer, "PolicyNotFoundException")
    }

    async fn describe_backup(&self, arn: &str) -> Checked {
        let backup = format!("{arn}/backup/01489602797149-73d8d5bc");
        refused(self.client.describe_backup().backup_arn(backup).send().await, "BackupNotFoundException")
    }

    async fn describe_export(&self, arn: &str) -> Checked {
        let export = format!("{arn}/export/01695353076000-a1b2c3d4");
        refused(self.client.describe_export().export_arn(export).send().await, "ExportNotFoundException")
    }

    async fn describe_import(&self, arn: &str) -> Checked {
        let import = format!("{arn}/import/01695353076000-a1b2c3d4");
        refused(self.client.describe_import().import_arn(import).send().await, "ImportNotFoundException")
    }

    async fn describe_global_table(&self) -> Checked {
        let call = self.client.describe_global_table().global_table_name(&self.table);
        refused(call.send().await, "GlobalTableNotFoundException")
    }

    async fn describe_global_table_settings(&self) -> Checked {
        let call = self.client.describe_global_table_settings().global_table_name(&self.table);
        refused(call.send().await, "GlobalTableNotFoundException")
    }

    async fn update_table(&self) -> Checked {
        for protected in [true, false] {
            let call =
                self.client.update_table().table_name(&self.table).deletion_protection_enabled(protected);
            let table = call.send().await.map_err(told)?.table_description.ok_or("no description")?;
            same(table.deletion_protection_enabled, Some(protected))?;
            let deleted =
                protected && self.client.delete_table().table_name(&self.table).send().await.is_ok();
            same(deleted, false)?;
        }
        Ok(())
    }

    async fn delete_table(&self) -> Checked {
        let answer = self.client.delete_table().table_name(&self.table).send().await.map_err(told)?;
        same(answer.table_description.and_then(|table| table.table_status), Some(TableStatus::Deleting))?;
        match self.client.describe_table().table_name(&self.table).send().await {
            Ok(_) => Err("the table is still there".to_owned()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                Ok(())
            }
            Err(error) => Err(told(error)),
        }
    }
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(text: &str) -> AttributeValue {
    AttributeValue::N(text.to_owned())
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

/// A primary key.
fn place(partition: &str, sort: &str) -> Item {
    item([("pk", s(partition)), ("sk", n(sort))])
}

/// An item with a value of every type. Sets have one member, as their order means nothing but the SDK compares it.
fn every_type() -> Item {
    let mut all = place("a", "1");
    let deep = AttributeValue::M(item([("deep", s("yes"))]));
    all.extend(item([
        ("s", s("text é")),
        ("n", n("-12.5")),
        ("b", AttributeValue::B(Blob::new([0u8, 1, 255]))),
        ("t", AttributeValue::Bool(true)),
        ("z", AttributeValue::Null(true)),
        ("ss", AttributeValue::Ss(vec!["x".to_owned()])),
        ("ns", AttributeValue::Ns(vec!["2.5".to_owned()])),
        ("bs", AttributeValue::Bs(vec![Blob::new([255u8])])),
        ("l", AttributeValue::L(vec![n("1"), s("two"), AttributeValue::L(Vec::new())])),
        ("m", AttributeValue::M(item([("k", deep)]))),
    ]));
    all
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("name and type are set")
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind)
        .build()
        .expect("name and type are set")
}

/// The exception's name and text; for what never reached the server, the SDK's own account of it, cut short.
fn told<E: ProvideErrorMetadata + Debug>(error: E) -> String {
    match error.code() {
        Some(code) => format!("{code}: {}", error.message().unwrap_or_default()),
        None => format!("{error:?}").chars().take(300).collect(),
    }
}

/// The answer must be the exception of this name.
fn refused<T: Debug, E: ProvideErrorMetadata + Debug>(answer: Result<T, E>, name: &str) -> Checked {
    match answer {
        Ok(found) => Err(format!("expected {name}, found {found:?}")),
        Err(error) if error.code() == Some(name) => Ok(()),
        Err(error) => Err(told(error)),
    }
}

fn same<T: PartialEq + Debug>(found: T, wanted: T) -> Checked {
    if found == wanted { Ok(()) } else { Err(format!("expected {wanted:?}, found {found:?}")) }
}
