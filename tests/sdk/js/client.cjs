// Answers operations through the AWS SDK for JavaScript: a line of JSON in, a line of JSON out.
//
// usage: node client.cjs ENDPOINT
// in:  {"operation": "PutItem", "request": {...DynamoDB JSON...}}
// out: {"result": {...}}, {"error": "ConditionalCheckFailedException", "message": "..."}, or {"unknown": true} for an
//      operation that the SDK does not have
//
// The operation "Document" makes a round trip through lib-dynamodb, whose values are JavaScript's own.

"use strict";
const readline = require("node:readline");
const assert = require("node:assert/strict");
const sdk = require("@aws-sdk/client-dynamodb");
const lib = require("@aws-sdk/lib-dynamodb");

const client = new sdk.DynamoDBClient({
    endpoint: process.argv[2],
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    maxAttempts: 1,
});

const isObject = (value) => value !== null && typeof value === "object";

// Binary values are base64 on the wire and byte arrays in JavaScript.
function map(value, change) {
    if (value instanceof Date) return value.getTime() / 1000;
    if (Array.isArray(value)) return value.map((one) => map(one, change));
    if (!isObject(value) || value instanceof Uint8Array) return value;
    const names = Object.keys(value);
    if (names.length === 1 && names[0] === "B" && !(isObject(value.B) && !(value.B instanceof Uint8Array))) {
        return { B: change(value.B) };
    }
    if (names.length === 1 && names[0] === "BS" && Array.isArray(value.BS)) return { BS: value.BS.map(change) };
    return Object.fromEntries(names.filter((name) => value[name] !== undefined).map((name) => [name, map(value[name], change)]));
}

async function documents({ TableName }) {
    const documentClient = lib.DynamoDBDocumentClient.from(client);
    const item = {
        pk: "document", sk: 1, text: "é", number: 1.5, flag: true, nothing: null, list: [1, "two", [3]],
        map: { deep: { er: "yes" } }, strings: new Set(["a", "b"]), bytes: new Uint8Array([0, 255]),
    };
    await documentClient.send(new lib.PutCommand({ TableName, Item: item }));
    const Key = { pk: "document", sk: 1 };
    const found = await documentClient.send(new lib.GetCommand({ TableName, Key, ConsistentRead: true }));
    assert.deepEqual(found.Item, item);
    const updated = await documentClient.send(new lib.UpdateCommand({
        TableName, Key, UpdateExpression: "SET #n = #n + :one", ExpressionAttributeNames: { "#n": "number" },
        ExpressionAttributeValues: { ":one": 1 }, ReturnValues: "UPDATED_NEW",
    }));
    assert.deepEqual(updated.Attributes, { number: 2.5 });
    const page = await documentClient.send(new lib.QueryCommand({
        TableName, KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": "document" }, ConsistentRead: true,
    }));
    assert.equal(page.Count, 1);
    await documentClient.send(new lib.DeleteCommand({ TableName, Key }));
    return {};
}

async function answer(line) {
    const { operation, request } = JSON.parse(line);
    try {
        if (operation === "Document") return { result: await documents(request) };
        if (!sdk[operation + "Command"]) return { unknown: true };
        const input = map(request, (text) => new Uint8Array(Buffer.from(text, "base64")));
        const { $metadata, ...output } = await client.send(new sdk[operation + "Command"](input));
        return { result: map(output, (bytes) => Buffer.from(bytes).toString("base64")) };
    } catch (error) {
        return { error: error.name, message: String(error.message) };
    }
}

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        process.stdout.write(JSON.stringify(await answer(line)) + "\n");
    }
    client.destroy();
})();
