#!/bin/sh
# Quotes of Tencent with curl: sh quotes.sh [PORT]
set -eu
at=http://127.0.0.1:${1:-33333}/v1
json='content-type: application/json'
tencent='"securityList": [{"market": 1, "code": "00700"}]'
# OPENDMUX_KEY is only needed where opendmux has a keys file.
ask() {
    curl -sS --fail-with-body ${OPENDMUX_KEY:+-H "authorization: Bearer $OPENDMUX_KEY"} "$@"
}
price() {
    sed -n 's/.*"curPrice": *\([0-9.]*\).*/\1/p'
}

ask "$at/request/3001" -H "$json" \
    -d "{\"c2s\": {$tencent, \"subTypeList\": [1], \"isSubOrUnSub\": true, \"isRegOrUnRegPush\": true}}" >/dev/null
echo "quote HK.00700 $(ask "$at/request/3004" -H "$json" -d "{\"c2s\": {$tencent}}" | price)"
ask -N "$at/push" 2>/dev/null | grep --line-buffered '"proto_id":3005' | head -n 3 | while read -r push; do
    echo "push HK.00700 $(echo "$push" | price)"
done
