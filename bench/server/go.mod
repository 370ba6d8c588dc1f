module limpet/bench/server

go 1.19
