package embedded

import _ "embed"

//go:embed manifest_darwin_amd64.txt
var manifestText string
