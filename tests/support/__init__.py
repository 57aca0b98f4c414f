"""What tests share: the engines, the whole system as processes, Kafka's records, and polling with a deadline."""
