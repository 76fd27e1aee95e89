#!/bin/sh
# The stubs and messages for main.go: sh generate.sh FOLDER, the folder being futu/common/pb of the Python SDK, or any
# other with OpenD's .proto files. Needs go, opendmux, and protoc (pip install grpcio-tools has one).
set -eu
protos=$1
protoc=${PROTOC:-protoc}
here=example.com/quotes
export GOBIN="$PWD/bin" PATH="$PWD/bin:$PATH"
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.6
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1

opendmux proto
$protoc -I. --go_out=. --go_opt=module=$here,Mfutu.proto=$here/futu \
    --go-grpc_out=. --go-grpc_opt=module=$here,Mfutu.proto=$here/futu futu.proto
set -- Common Qot_Common Qot_Sub Qot_GetBasicQot Qot_UpdateBasicQot
options=module=$here
for name in "$@"; do
    options=$options,M$name.proto=$here/pb/$(echo "$name" | tr -d _ | tr A-Z a-z)
done
# shellcheck disable=SC2046
$protoc -I"$protos" --go_out=. --go_opt="$options" $(printf '%s.proto ' "$@")

[ -e go.mod ] || go mod init $here
go get google.golang.org/grpc@v1.73.0 google.golang.org/protobuf@v1.36.6
go mod tidy
