package embedded

import _ "embed"

//go:embed manifest_linux_amd64.txt
var manifestText string
