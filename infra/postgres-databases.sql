-- The databases of MLflow and Prefect; `adloom databases` makes their tables.
CREATE DATABASE mlflow;
CREATE DATABASE prefect;
