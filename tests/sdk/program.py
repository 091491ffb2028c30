import boto3
from boto3.dynamodb.conditions import Key, Attr
db = boto3.resource("dynamodb", endpoint_url="http://localhost:8000", region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local")
t = db.create_table(TableName="orders", BillingMode="PAY_PER_REQUEST",
    KeySchema=[{"AttributeName": "customer_id", "KeyType": "HASH"}, {"AttributeName": "date", "KeyType": "RANGE"}],
    AttributeDefinitions=[{"AttributeName": "customer_id", "AttributeType": "S"}, {"AttributeName": "date", "AttributeType": "S"}])
t.wait_until_exists()
with t.batch_writer() as batch:
    for i in range(2000):
        batch.put_item(Item={"customer_id": f"c{i % 50}", "date": f"2020-10-{i % 28 + 1:02}T{i:05}", "item": "sofa", "price": i, "tags": {"a", "b"}, "where": {"city": "Seoul", "zip": [1, 2, {"x": None}]}})
t.update_item(Key={"customer_id": "c1", "date": "2020-10-02T00001"}, UpdateExpression="SET price = price + :d, #w.city = :c REMOVE tags",
    ConditionExpression="attribute_exists(customer_id) AND price < :m", ExpressionAttributeNames={"#w": "where"}, ExpressionAttributeValues={":d": 5, ":c": "Busan", ":m": 100})
print(t.query(KeyConditionExpression=Key("customer_id").eq("c1") & Key("date").begins_with("2020-10-0"), ProjectionExpression="price", ConsistentRead=True))
print(t.scan(FilterExpression=Attr("price").gt(1990))["Count"])
