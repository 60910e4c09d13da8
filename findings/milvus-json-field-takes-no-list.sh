#!/bin/sh
# milvus 2.3.5 (the standalone server on PyPI) with pymilvus 2.5.12: a JSON field takes no list, though a list is JSON
# and both the client and Milvus Lite 2.5.1 take one. Insert fails with "IO failed: json: cannot unmarshal array into Go
# value of type map[string]interface {}", which reads like a disagreement of client and server; every client from 2.3.7
# to 3.0.2 gets it. An object that holds the list is accepted. Output: the list is refused, the object is inserted.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check milvus==2.3.5 pymilvus==2.5.12 numpy==2.4.6 "setuptools<80"
"$folder/env/bin/python" - "$folder/data" <<'PYTHON'
import logging
import sys

from milvus import MilvusServer
from pymilvus import DataType, MilvusClient, MilvusException

logging.disable()
server = MilvusServer()
server.set_base_dir(sys.argv[1])
server.start()
try:
    client = MilvusClient(f"http://127.0.0.1:{server.listen_port}")
    print("server", client.get_server_version())
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("code", DataType.BINARY_VECTOR, dim=8)
    schema.add_field("labels", DataType.JSON)
    index = client.prepare_index_params()
    index.add_index("code", index_type="BIN_FLAT", metric_type="HAMMING")
    client.create_collection("rows", schema=schema, index_params=index)
    try:
        client.insert("rows", [{"id": 1, "code": b"\0", "labels": ["cat"]}])
        raise SystemExit("the list was taken")
    except MilvusException as error:
        print("the list is refused:", error.message)
        assert "cannot unmarshal array" in error.message
    count = client.insert("rows", [{"id": 1, "code": b"\0", "labels": {"names": ["cat"]}}])["insert_count"]
    print("objects inserted:", count)
    assert count == 1
finally:
    server.stop()
PYTHON
