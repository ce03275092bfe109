"""The mesh's messages: subjects, who may use them, and the links that carry them (NATS and MQTT)."""
