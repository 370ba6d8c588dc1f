module limpet/e2e-go-resolver

go 1.19
